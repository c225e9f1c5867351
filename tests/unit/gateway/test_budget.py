from aftersend.gateway.budget import Budget


def test_what_is_too_much_changes_nothing() -> None:
    budget = Budget(100)
    assert budget.take(60)
    assert not budget.take(41)
    assert 60 == budget.held
    assert budget.take(40)
    budget.give(100)
    assert 0 == budget.held
