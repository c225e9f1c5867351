"""What must hold for any events in any batches, with any store, through any restart."""

from collections import Counter
from itertools import pairwise
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from aftersend.rules.kpi.indicators import INDICATORS, TOTALS, kpis
from aftersend.rules.recipient.facts import Fact
from aftersend.rules.recipient.kinds import EXPIRED
from aftersend.schemas.event import EVENT_TYPES, NOT_SENT_REASONS, FoldEvent
from aftersend.schemas.kpi import KpiPartial
from aftersend.tables import restore
from aftersend.tables.codec.public import split_row_key
from aftersend.tables.codec.stored import decode_row, row_from_headers
from aftersend.tables.stores.base import Changes
from aftersend.tables.stores.memory import MemoryStore
from aftersend.tables.stores.rocksdb.store import open_stores
from tests.unit.rules.factories import DAY, HOUR, MINUTE, event
from tests.unit.tables.factories import CODEC, TOPICS, Partition, Record, tick

DELIVERIES = ("one", "two")
RECIPIENTS = ("a@example.org", "b@example.org", "c@example.org")

randoms = st.randoms(use_true_random=False)
sizes = st.integers(1, 60)
#: How far events are apart: within every window, across windows, across the freeze.
steps = st.sampled_from([MINUTE, 5 * HOUR, 1.5 * DAY])


def any_events(
    random: Random, number: int, step: float, *, ticks: bool = True, rows: int = 6, releases: bool = False
) -> list[FoldEvent]:
    """Return events of some rows in the order of their arrival; some come again, some are ticks.

    Releases are about addresses: no row hears of them.
    """
    types = [name for name in EVENT_TYPES if name not in {"tick", "declared"} and (releases or name != "released")]
    made: list[FoldEvent] = []
    for i in range(number):
        at = i * step
        if ticks and random.random() < 0.15:
            made.append(tick(at))
            continue
        row = random.randrange(rows)
        made.append(
            event(
                random.choice(types),
                at,
                event_id=f"event {random.randrange(number)}",
                delivery_id=DELIVERIES[row % 2],
                recipient=RECIPIENTS[row // 2],
                source=random.choice(["kumomta", "tracking", "unione", "of no name we know"]),
                reason=random.choice(NOT_SENT_REASONS),
                machine=random.random() < 0.3,
            )
        )
    return made


def divided(random: Random, events: list[FoldEvent]) -> list[list[FoldEvent]]:
    bounds = sorted({0, len(events), *(random.randrange(len(events)) for _ in range(5))})
    return [events[a:b] for a, b in pairwise(bounds)]


def taken(partition: Partition, batches: list[list[FoldEvent]]) -> Partition:
    for batch in batches:
        partition.take(*batch)
    return partition


def state(partition: Partition, *, sweeps: bool = True) -> dict[str, Any]:
    """Return all that a partition shows: rows, KPIs, tick; versions and expiries as far as they depend on sweeps."""
    partials = dict(partition.store.partials())
    return {
        "rows": {delivery_id: partition.rows(delivery_id) for delivery_id in DELIVERIES},
        "buckets": {delivery_id: partial.buckets for delivery_id, partial in partials.items()},
        "events": {delivery_id: without_expiries(partial, sweeps=sweeps) for delivery_id, partial in partials.items()},
        "times": {d: (partial.started_at, partial.updated_at) for d, partial in partials.items()},
        "tick": partition.store.tick,
    }


def without_expiries(partial: KpiPartial, *, sweeps: bool) -> dict[int, int]:
    return partial.events if sweeps else {k: n for k, n in partial.events.items() if k >> 4 & 255 != EXPIRED}


@given(randoms, st.integers(1, 100), st.sampled_from([MINUTE, HOUR]), st.sampled_from([1, 6]))
def test_batches_are_a_mere_technicality(random: Random, number: int, step: float, rows: int) -> None:
    """Any division of the events gives the same rows, to the last byte, the same KPIs and the same contacts.

    With more events of one row than it remembers, some of which come again.
    """
    events = any_events(random, number, step, rows=rows, releases=True)
    # A sweep looks at rows that were there before its batch; what is due of this one is found at the next tick.
    last = tick(number * step)
    whole = taken(Partition(), [events, [last], [last]])
    parts = taken(Partition(), [*divided(random, events), [last], [last]])

    assert state(whole) == state(parts)
    assert contacts(whole) == contacts(parts)


def contacts(partition: Partition) -> dict[str, dict[str, Any]]:
    return {recipient: partition.contact(recipient) for recipient in RECIPIENTS}


@given(randoms, sizes, st.sampled_from([MINUTE, 5 * HOUR, 11 * HOUR]))
def test_expiry_does_not_depend_on_when_the_sweep_runs(random: Random, number: int, step: float) -> None:
    """Ticks in the batch of the events, alone, or only one at the end: the rows end up the same."""
    events = any_events(random, number, step)
    last = tick(number * step)
    one = taken(Partition(), [events, [last], [last]])
    other = taken(Partition(), [*divided(random, events), [last], [last]])

    assert state(one, sweeps=False) == state(other, sweeps=False)


@given(randoms, sizes)
def test_a_tick_that_ends_no_wait_changes_no_row(random: Random, number: int) -> None:
    events = any_events(random, number, MINUTE, ticks=False)
    without = taken(Partition(), [events])
    partition = taken(Partition(), divided(random, [*events, tick(HOUR)]))

    assert state(without) | {"tick": 0.0} == state(partition) | {"tick": 0.0}


@given(randoms, sizes, steps)
def test_kpis_recomputed_from_the_rows_are_those_that_were_counted(random: Random, number: int, step: float) -> None:
    """What `compute-stats` does: the drift is always 0, after every batch."""
    partition = Partition()
    for batch in divided(random, any_events(random, number, step)):
        partition.take(*batch)
        for delivery_id, partial in partition.store.partials():
            rows = partition.rows(delivery_id).values()
            buckets_by_rows = Counter(row.facts << 8 | row.status for row in rows if not row.facts & Fact.TEST)
            actual = kpis(partial.buckets, partial.events)

            assert buckets_by_rows == partial.buckets
            assert len(rows) == actual["audience"]
            assert {i.name: kpis(buckets_by_rows, {})[i.name] for i in INDICATORS} == {
                i.name: actual[i.name] for i in INDICATORS
            }
            assert {
                "total_opens": sum(row.opens for row in rows),
                "total_machine_opens": sum(row.machine_opens for row in rows),
                "total_clicks": sum(row.clicks for row in rows),
                "total_machine_clicks": sum(row.machine_clicks for row in rows),
            } == {t.name: actual[t.name] for t in TOTALS if "unsubscribe" not in t.name}


@given(randoms, sizes, steps)
def test_every_event_is_counted_once(random: Random, number: int, step: float) -> None:
    events = any_events(random, number, step)
    partition = taken(Partition(), divided(random, events))
    counted = sum(sum(without_expiries(partial, sweeps=False).values()) for _, partial in partition.store.partials())

    assert sum(e.type != "tick" for e in events) == counted


@settings(max_examples=20)  # each opens databases
@given(randoms, sizes, steps)
def test_both_stores_give_the_same(random: Random, number: int, step: float) -> None:
    # A restart looks at every row at the next tick; without one, what a batch made due is found at the tick after it.
    last = tick(number * step)
    batches = [*divided(random, any_events(random, number, step, releases=True)), [last], [last]]
    memory = taken(Partition(), batches)
    with TemporaryDirectory() as directory:
        open_store = open_stores(Path(directory), 8, 12.0)
        rocks = Partition(open_store(0))
        for batch in batches:
            rocks.take(*batch)
            if random.random() < 0.3:
                rocks.store.close()
                rocks = reborn(rocks, open_store(0))

        assert state(memory) == state(rocks)
        assert contacts(memory) == contacts(rocks)
        rocks.store.close()


def reborn(partition: Partition, store: Any) -> Partition:
    """Return the partition in another worker's hands; it writes on to the same topics."""
    heir = Partition(store)
    heir._offset, heir.written = partition._offset, partition.written
    return heir


def restored(partition: Partition) -> MemoryStore:
    """Return a store as it is restored from the last record of each key."""
    store, changes = MemoryStore(), Changes()
    restore._rows(last_records(partition, TOPICS.status), changes)
    restore._contacts(last_records(partition, TOPICS.contacts), changes)
    restore._kpis(last_records(partition, TOPICS.kpis), changes)
    store.apply(changes, {})
    return store


def last_records(partition: Partition, topic: str) -> list[Any]:
    """Return what compaction leaves of a topic."""
    last: dict[bytes | None, Record] = {record.key: record for record in partition.written.get(topic, [])}
    return list(last.values())


@given(randoms, sizes, steps)
def test_consumers_read_the_same_row_that_a_restart_goes_on_from(random: Random, number: int, step: float) -> None:
    """Value and header of a record are one row."""
    partition = taken(Partition(), divided(random, any_events(random, number, step)))
    for record in partition.written.get(TOPICS.status, []):
        if record.value is not None:
            row = decode_row(row_from_headers(record.headers))
            assert record.value == CODEC.state(*split_row_key(record.key or b"", record.value), row)


@given(randoms, sizes, steps)
def test_a_restore_gives_the_same_state(random: Random, number: int, step: float) -> None:
    """The changelogs are all that the next owner has; and it goes on as if it had been there from the start."""
    batches = divided(random, any_events(random, number, step, releases=True))
    straight, restarted = taken(Partition(), batches), Partition()
    for batch in batches:
        restarted.take(*batch)
        if random.random() < 0.5:
            restarted = reborn(restarted, restored(restarted))
    # Who has just begun looks at all rows, who was there already at those of which he knows that they are due.
    for partition in (straight, restarted):
        taken(partition, [[tick(number * step)]] * 2)

    assert state(straight, sweeps=False) == state(restarted, sweeps=False)
    assert contacts(straight) == contacts(restarted)
