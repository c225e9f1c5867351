"""Explaining a row and folding its events are the same, for any events, ticks and batches."""

from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aftersend.rules.explain.explain import explain
from aftersend.rules.explain.explanation import LoggedEvent, RowExplanation
from aftersend.rules.explain.from_history import from_history
from aftersend.rules.explain.replay import Replay
from aftersend.rules.recipient.decisions import Decision
from aftersend.rules.recipient.history import MAX_ENTRIES, unpack_history
from aftersend.rules.recipient.kinds import EXPIRED
from aftersend.rules.recipient.timing import timing
from aftersend.schemas.delivery import Declaration
from aftersend.schemas.event import Feedback, FoldEvent
from aftersend.schemas.recipient import Row
from tests.unit.rules.factories import DAY, HOUR, MINUTE, NUMBERS, START
from tests.unit.tables.batch.test_fold_properties import DELIVERIES, RECIPIENTS, any_events, divided, taken
from tests.unit.tables.factories import Partition

ROWS = [(delivery, recipient) for delivery in DELIVERIES for recipient in RECIPIENTS]
TIMES = timing(numbers=NUMBERS)

randoms = st.randoms(use_true_random=False)
#: How far events are apart: within every window, across windows, across the freeze.
steps = st.sampled_from([MINUTE, 5 * HOUR, 1.5 * DAY])


def told_of(events: list[FoldEvent], delivery_id: str, recipient: str) -> list[LoggedEvent]:
    """Return what the events topic tells of a row."""
    actual, tick = [], 0.0
    for offset, one in enumerate(events):
        if one.type == "tick":
            tick = max(tick, one.received_at)
        elif one.delivery_id == delivery_id and (one.recipient == recipient or one.type == "declared"):
            event = msgspec.json.decode(msgspec.json.encode(one), type=Feedback)
            actual.append(LoggedEvent(event, offset, one.received_at, tick))
    return actual


def explained(
    partition: Partition, events: list[FoldEvent], delivery_id: str, recipient: str, *, complete: bool = True
) -> RowExplanation:
    partial = partition.store.partial(delivery_id)
    replay = Replay(delivery_id, 0, NUMBERS, TIMES, partial.started_at if partial is not None else None)
    actual = told_of(events, delivery_id, recipient)
    return explain(partition.row(delivery_id, recipient), actual, replay, complete=complete)


def decided(events: list[FoldEvent]) -> dict[tuple[str, str], list[int]]:
    """Return what folding decided for the events of each row, one batch for each event."""
    partition = Partition()
    decisions: dict[tuple[str, str], list[int]] = {row: [] for row in ROWS}
    for one in events:
        counted = partition.take(one).events
        if one.type not in {"tick", "released", "declared"}:
            ((key, _),) = counted.items()
            decisions[one.delivery_id, one.recipient].append(key & 15)
    return decisions


@settings(max_examples=40)
@given(randoms, st.integers(1, 80), steps, st.sampled_from([1, 6]))
def test_the_decisions_are_those_of_the_fold(random: Random, number: int, step: float, rows: int) -> None:
    """With more events of a row than it remembers, duplicates, expiries, a freeze, in any batches."""
    events = any_events(random, number, step, rows=rows)
    expected = decided(events)
    partition = taken(Partition(), divided(random, events))
    for delivery_id, recipient in ROWS:
        row = partition.row(delivery_id, recipient)
        found = explained(partition, events, delivery_id, recipient)

        assert expected[delivery_id, recipient] == [s.decision for s in found.steps if s.kind != EXPIRED]
        if row is not None:
            assert [] == found.disagreements
            assert row.status == found.steps[-1].after
            assert not any(s.waiting for s in found.steps)


declarations = st.lists(
    st.tuples(
        st.integers(0, 60),
        st.sampled_from(DELIVERIES),
        st.builds(
            Declaration,
            validity_hours=st.sampled_from([None, 0.5, 6.0, 30.0]),
            statistics_update_period_days=st.sampled_from([None, 0.25, 2.0]),
            start=st.sampled_from([None, START, START + DAY]),
        ),
    ),
    max_size=4,
)


@given(randoms, st.integers(1, 60), steps, declarations)
def test_a_delivery_that_was_declared_meanwhile(
    random: Random, number: int, step: float, declared: list[tuple[int, str, Declaration]]
) -> None:
    """Windows, freeze and start change in the midst of it; what was decided before stays."""
    events: list[FoldEvent] = list(any_events(random, number, step))
    for at, delivery_id, declaration in sorted(declared, key=lambda one: -one[0]):
        received_at = START + at * step
        events.insert(
            at,
            Feedback(
                f"declared {at} {delivery_id}",
                delivery_id,
                "",
                "declared",
                source="sender",
                received_at=received_at,
                declaration=declaration,
            ),
        )
    expected = decided(events)
    partition = taken(Partition(), divided(random, events))
    for delivery_id, recipient in ROWS:
        found = explained(partition, events, delivery_id, recipient)

        assert expected[delivery_id, recipient] == [s.decision for s in found.steps if s.kind != EXPIRED]
        assert [] == found.disagreements


@settings(max_examples=40)
@given(randoms, st.integers(1, 80), steps, st.sampled_from([1, 6]))
def test_each_step_begins_where_the_last_one_ended(random: Random, number: int, step: float, rows: int) -> None:
    """But for an expiry that is taken back, which the step says."""
    events = any_events(random, number, step, rows=rows)
    partition = taken(Partition(), [events])
    for delivery_id, recipient in ROWS:
        status = 0
        for one in explained(partition, events, delivery_id, recipient).steps:
            if one.decision != Decision.LATE:
                assert status == one.before or "taken back" in one.rule
                status = one.after or 0


@settings(max_examples=40)
@given(randoms, st.integers(1, 60), st.sampled_from([MINUTE, 5 * HOUR, 11 * HOUR]), st.sampled_from([1, 6]))
def test_events_that_are_not_folded_yet_are_told_apart(random: Random, number: int, step: float, rows: int) -> None:
    events = any_events(random, number, step, rows=rows)
    cut = random.randrange(len(events))
    partition = taken(Partition(), [events[:cut]] if cut else [])
    for delivery_id, recipient in ROWS:
        found = explained(partition, events, delivery_id, recipient)
        row = partition.row(delivery_id, recipient)

        assert [] == found.disagreements
        if row is not None:
            made = [s for s in found.steps if not s.waiting]
            assert row.status == made[-1].after


def told_alike(found: RowExplanation) -> list[Any]:
    """Return what both ways tell of each event but its repeats, which a history only counts."""
    seen: set[bytes] = set()
    alike = []
    for s in found.steps:
        if s.kind == EXPIRED or s.digest not in seen:
            alike.append((s.kind, s.decision, s.before, s.after, s.new_facts, s.digest, s.raw_position))
        seen.add(s.digest)
    return alike


@settings(max_examples=40)
@given(randoms, st.integers(1, 30), st.sampled_from([MINUTE, 5 * HOUR, 11 * HOUR]))
def test_the_history_alone_tells_the_same_while_it_has_room(random: Random, number: int, step: float) -> None:
    """Decision, statuses, facts and place of each event; repeats are counted instead of listed."""
    events = any_events(random, number, step)
    partition = taken(Partition(), [events])
    for delivery_id, recipient in ROWS:
        row = partition.row(delivery_id, recipient)
        if row is None:
            continue
        found = from_history(row)

        assert [] == found.disagreements
        assert 0 == found.missing
        assert told_alike(explained(partition, events, delivery_id, recipient)) == told_alike(found)


@settings(max_examples=40)
@given(randoms, st.integers(50, 120), st.sampled_from([MINUTE, HOUR]))
def test_what_follows_from_a_history_without_its_beginning_is_true(random: Random, number: int, step: float) -> None:
    """Statuses are either those that were, or said to be unknown."""
    events = any_events(random, number, step, rows=1)
    partition = taken(Partition(), [events])
    row = partition.row(DELIVERIES[0], RECIPIENTS[0])
    if row is None:
        return
    whole = explained(partition, events, DELIVERIES[0], RECIPIENTS[0])
    true = {(s.kind, s.digest, s.received_at): s for s in whole.steps if s.decision != Decision.DUPLICATE}
    found = from_history(row)
    known = unpack_history(row.history)

    assert row.version - sum(e.decision != Decision.LATE for e in known) == found.missing
    assert len(known) == len(found.steps)
    assert [] == found.disagreements
    for one in found.steps:
        was = true[one.kind, one.digest, one.received_at]
        assert one.before in {None, was.before}
        assert one.after in {None, was.after}
    assert row.status == found.steps[-1].after


@settings(max_examples=40)
@given(randoms, st.integers(50, 120), st.integers(1, 100))
def test_events_that_retention_has_removed_are_said_to_be_missing(random: Random, number: int, gone: int) -> None:
    events = any_events(random, number, MINUTE, rows=1)
    partition = taken(Partition(), [events])
    row = partition.row(DELIVERIES[0], RECIPIENTS[0])
    if row is None:
        return
    found = explained(partition, events[gone:], DELIVERIES[0], RECIPIENTS[0], complete=False)
    forgotten = sum(s.decision is None and not s.waiting for s in found.steps)

    assert [] == found.disagreements
    if found.missing:
        changes = sum(e.decision != Decision.LATE for e in unpack_history(row.history))
        assert row.version - changes == found.missing + forgotten


@pytest.mark.parametrize("change", [{"status": 12}, {"version": 99}, {"facts": 1 << 18}])
def test_a_row_that_is_not_what_its_events_make_of_it(change: dict[str, int]) -> None:
    events = any_events(Random(7), 20, MINUTE, rows=1)
    partition = taken(Partition(), [events])
    row = partition.row(DELIVERIES[0], RECIPIENTS[0])
    assert isinstance(row, Row)
    false = msgspec.structs.replace(row, **change)
    actual = told_of(events, DELIVERIES[0], RECIPIENTS[0])

    found = explain(false, actual, Replay(DELIVERIES[0], 0, NUMBERS, TIMES), complete=True)

    assert found.disagreements


def test_more_events_than_a_row_remembers() -> None:
    """The oldest ones come from the events topic; the row has forgotten them."""
    events = any_events(Random(1), 300, MINUTE, ticks=False, rows=1)
    events = [e for e in events if e.type not in {"released", "declared"}]
    partition = taken(Partition(), [events])
    found = explained(partition, events, DELIVERIES[0], RECIPIENTS[0])

    assert len(events) == len(found.steps) > MAX_ENTRIES
    assert [] == found.disagreements
    assert 0 == found.missing
