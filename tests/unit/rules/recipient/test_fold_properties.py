"""What must hold for every order and every duplication of one row's events."""

from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from aftersend.rules.recipient.decisions import DECISION_NAMES
from aftersend.rules.recipient.history import MAX_ENTRIES, digest_of
from aftersend.rules.recipient.kinds import KIND_NAME, KIND_RANK, kind_of
from aftersend.schemas.event import EVENT_TYPES, FoldEvent
from aftersend.schemas.recipient import Row
from tests.unit.rules.factories import HOUR, MINUTE, START, Folding, event, folded

#: Types that lead to no terminal status.
NON_TERMINAL = (
    *("planned", "ready", "sent", "deferred", "soft_bounce", "delivered", "opened", "clicked"),
    *("autoresponded", "resubscribed"),
)
#: Fields that tell the story of the row and so depend on its order; all others must not.
STORY = {"previous", "cause", "history", "updated_at", "source"}

_moments = st.integers(0, 20 * 60).map(lambda seconds: seconds * MINUTE / 60)


def some_events(types: Sequence[str], max_size: int) -> st.SearchStrategy[list[FoldEvent]]:
    """Return distinct events within minutes, so that nothing expires among them."""
    one: st.SearchStrategy[dict[str, Any]] = st.builds(
        dict,
        type_=st.sampled_from(types),
        at=_moments,
        occurred_at=st.one_of(st.just(0.0), _moments.map(lambda at: START + at - HOUR)),
        source=st.sampled_from(["kumomta", "tracking", ""]),
        reason=st.sampled_from(["", "stopped", "QuotaIssues"]),
        code=st.sampled_from([0, 421, 550]),
        machine=st.booleans(),
        unsubscribe_link=st.booleans(),
        one_click=st.booleans(),
        exhausted=st.booleans(),
    )
    return st.lists(one, min_size=1, max_size=max_size).map(_numbered)


def by_arrival(events: list[FoldEvent]) -> list[FoldEvent]:
    """Return events in the order of their arrival (`docs/domain.md §2.4`)."""
    return sorted(events, key=lambda one: (one.received_at, KIND_RANK[kind_of(one)], digest_of(one.event_id)))


def _numbered(fields: list[dict[str, Any]]) -> list[FoldEvent]:
    return [event(event_id=f"event {i}", **of) for i, of in enumerate(fields)]


def without_story(row: Row) -> dict[str, Any]:
    return {name: getattr(row, name) for name in row.__struct_fields__ if name not in STORY}


def told_kpis(result: Folding) -> dict[str, int]:
    """Return what the delivery's KPIs get from some events, whichever of them was the one to change the status."""
    actual: dict[str, int] = {}
    for key in result.counted:
        decision = DECISION_NAMES[key & 15]
        counted = "duplicate" if decision == "duplicate" else f"counted {KIND_NAME[key >> 4 & 255]}"
        actual[counted] = actual.get(counted, 0) + 1
    return actual


@given(st.data())
def test_any_order_and_any_duplication_of_non_terminal_events_gives_the_same(data: st.DataObject) -> None:
    """The same row, apart from the fields that tell its story, and the same KPIs."""
    events = data.draw(some_events(NON_TERMINAL, 12))
    repeats = data.draw(st.lists(st.sampled_from(events), max_size=8))
    straight = folded(*events, *repeats)
    shuffled = folded(*data.draw(st.permutations(events + repeats)))

    assert without_story(straight.row) == without_story(shuffled.row)
    assert told_kpis(straight) == told_kpis(shuffled)


@given(st.data())
def test_any_order_after_the_first_terminal_status_gives_the_same(data: st.DataObject) -> None:
    """Facts, tallies and times of what comes after a lock are the same in every order."""
    lock = event("complained", event_id="lock")
    events = data.draw(some_events(NON_TERMINAL, 12))
    straight, shuffled = folded(lock, *events), folded(lock, *data.draw(st.permutations(events)))

    assert without_story(straight.row) == without_story(shuffled.row)
    assert "complained" == shuffled.status


@given(some_events(EVENT_TYPES[:-1], 60))
def test_every_event_gets_exactly_one_decision(events: list[FoldEvent]) -> None:
    assert len(events) == len(folded(*events).decisions)


@given(some_events(EVENT_TYPES[:-1], 60))
def test_the_version_counts_what_was_no_duplicate(events: list[FoldEvent]) -> None:
    events = by_arrival(events)
    result = folded(*events, *events[-MAX_ENTRIES:])

    assert len(events) == result.row.version
    assert min(len(events), MAX_ENTRIES) == result.decisions.count("duplicate")


@given(some_events(EVENT_TYPES[:-1], 20))
def test_facts_only_accumulate(events: list[FoldEvent]) -> None:
    row, seen = Row(), set[str]()
    for one in events:
        result = folded(one, row=row)
        assert result.facts >= seen
        row, seen = result.row, result.facts
