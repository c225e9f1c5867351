from aftersend.gateway.raw.budget import MemoryBudget


def test_bytes_beyond_the_limit_are_not_reserved() -> None:
    budget = MemoryBudget(100)
    assert budget.acquire(60)
    assert not budget.acquire(41)
    assert 60 == budget.used
    assert budget.acquire(40)
    budget.release(100)
    assert 0 == budget.used
