"""Declared deliveries in one partition: what their rows go by, what is kept, what is shown."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aftersend.rules.recipient.fold import MESSAGE_TYPE_NUMBER
from aftersend.rules.recipient.statuses import STATUS_NAME
from aftersend.rules.recipient.timing import timing
from aftersend.rules.views import VIEWS
from aftersend.schemas.delivery import Declaration, Delivery, DeliveryTerms
from aftersend.schemas.event import Feedback, FoldEvent
from aftersend.tables import restore
from aftersend.tables.batch.declarations import publishes
from aftersend.tables.stores.base import Changes
from aftersend.tables.stores.memory import MemoryStore
from aftersend.tables.stores.rocksdb.store import open_stores
from tests.unit.rules.factories import DAY, HOUR, NUMBERS, START, event
from tests.unit.tables.factories import TOPICS, Partition, Record, tick

#: Freeze after 30 days, rows forgotten after 120, windows of 48 hours.
TIMES = timing(numbers=NUMBERS)


def declared(at: float, delivery_id: str = "d", event_id: str = "", **said: Any) -> Feedback:
    """Return a declaration that arrives so many seconds after `START`."""
    return Feedback(
        event_id or f"declared-{at}",
        delivery_id,
        "",
        "declared",
        source="sender",
        received_at=START + at,
        declaration=Declaration(**said),
    )


def status(partition: Partition, delivery_id: str = "d") -> str:
    row = partition.row(delivery_id)
    return "" if row is None else STATUS_NAME[row.status]


def shown(partition: Partition) -> list[Delivery]:
    records = partition.written.get(TOPICS.deliveries, [])
    return [msgspec.json.decode(record.value or b"", type=Delivery) for record in records]


def test_rows_wait_as_long_as_was_declared() -> None:
    partition = Partition()
    partition.take(declared(0, validity_hours=1), event("sent", 60), event("sent", 60, delivery_id="other"))
    partition.take(tick(HOUR))
    assert "sent" == status(partition), "an hour after it was sent, not after the declaration"
    partition.take(tick(HOUR + 60))
    assert ("unknown", "sent") == (status(partition), status(partition, "other"))


def test_statistics_close_when_was_declared() -> None:
    partition = Partition()
    partition.take(declared(0, statistics_update_period_days=1), event("sent"), event("opened", 2 * DAY))
    partition.take(declared(0, "e", start=START + 5 * DAY), event("sent", delivery_id="e"))
    partition.take(event("opened", 34 * DAY, delivery_id="e"), event("opened", 35 * DAY, delivery_id="e"))
    assert (1, 0) == (partition.kpis()["late"], partition.kpis().get("unique_opens", 0))
    assert (1, 1) == (partition.kpis("e")["late"], partition.kpis("e")["unique_opens"])


def test_rows_are_forgotten_after_the_declared_start_and_the_terms_with_them() -> None:
    partition = Partition()
    partition.take(declared(0, start=START + 10 * DAY), event("sent"))
    partition.take(tick(121 * DAY))
    assert status(partition)
    partition.take(tick(131 * DAY), event("opened", 131 * DAY))
    partition.take(tick(131 * DAY))
    assert ("", {}, True) == (status(partition), partition.store.terms, partition.store.partial("d").archived)  # type: ignore[union-attr]
    assert partition.last(TOPICS.kpis, "@delivery:d").value is None
    partition.take(declared(132 * DAY, start=START + 130 * DAY), event("opened", 132 * DAY))
    assert ("", {}) == (status(partition), partition.store.terms), "nothing brings them back"


def test_other_terms_hold_from_then_on() -> None:
    """What is over by the old ones is over; what waits goes by the new ones."""
    partition = Partition()
    partition.take(declared(0, validity_hours=1), event("sent"), event("sent", 3 * HOUR, recipient="late@example.org"))
    partition.take(tick(2 * HOUR), declared(3 * HOUR, validity_hours=100))
    assert "unknown" == status(partition)
    partition.take(tick(50 * HOUR))
    rows = partition.rows()
    assert ("unknown", "sent") == tuple(STATUS_NAME[rows[r].status] for r in ("r@example.org", "late@example.org"))
    partition.take(event("delivered", 60 * HOUR))
    assert "delivered" == status(partition), "in time by what is in force now"


def test_a_shorter_validity_ends_what_waits() -> None:
    partition = Partition()
    partition.take(event("sent"))
    partition.take(tick(10 * HOUR))
    partition.take(declared(11 * HOUR, validity_hours=1))
    assert "sent" == status(partition)
    partition.take(tick(11 * HOUR))
    assert "unknown" == status(partition)


def test_the_later_arrival_counts_and_the_same_again_does_not() -> None:
    partition = Partition()
    partition.take(declared(5, name="two", event_id="2"), declared(1, name="one", event_id="1"))
    partition.take(declared(9, name="two", event_id="2"), declared(20, name="three", event_id="3"))
    assert ["two", "three"] == [delivery.name for delivery in shown(partition)]
    assert {"d": DeliveryTerms(START + 20, "3")} == partition.store.terms


def test_one_partition_shows_it_all_keep_it() -> None:
    fold_options = Partition()._fold._options
    homes = [publishes("spring-sale", number, 16) for number in range(16)]
    assert 1 == homes.count(True)
    for number in (homes.index(True), homes.index(False)):
        partition = Partition(number=number)
        partition._fold._options = msgspec.structs.replace(fold_options, partitions=16)
        partition.take(declared(0, "spring-sale", name="Spring sale", validity_hours=2))
        assert homes[number] == bool(shown(partition))
        assert {"spring-sale": DeliveryTerms(START, "declared-0", 2 * HOUR)} == partition.store.terms


def test_rows_and_contacts_have_the_declared_message_type() -> None:
    """Where events do not say it themselves; rows that were there before stay as they are."""
    partition = Partition()
    before = event("sent", recipient="before@example.org")
    said = msgspec.structs.replace(declared(1), message_type="automation")
    own = event("unsubscribed", 3, recipient="own@example.org", message_type="campaign")
    partition.take(before, said, event("sent", 2), event("hard_bounce", 3), own)
    partition.take(event("complained", 40 * DAY, recipient="late@example.org"))

    rows = partition.rows()
    numbers = [rows[f"{name}@example.org"].message_type for name in ("before", "r", "own")]
    assert [0, MESSAGE_TYPE_NUMBER["automation"], MESSAGE_TYPE_NUMBER["automation"]] == numbers
    assert "automation" == partition.contact()["notices"][0]["message_type"]
    assert "automation" == partition.contact("late@example.org")["notices"][0]["message_type"]
    assert ["campaign"] == partition.contact("own@example.org")["unsubscription"]["types"]


def test_a_message_type_that_nobody_knows_is_none() -> None:
    partition = Partition()
    partition.take(msgspec.structs.replace(declared(0), message_type="telegram"), event("sent", 1))
    assert "" == partition.store.terms["d"].message_type
    assert 0 == partition.rows()["r@example.org"].message_type


def test_what_is_shown() -> None:
    partition = Partition()
    said = Declaration("Spring sale", "efs", 84.0, 14.0, START, 5)
    partition.take(
        Feedback("e", "d", "", "declared", tenant="acme", message_type="campaign", received_at=START, declaration=said)
    )
    record = partition.last(TOPICS.deliveries)
    assert [Delivery(1, "d", START, "Spring sale", "acme", "campaign", "efs", 84.0, 14.0, START, 5, "e")] == shown(
        partition
    )
    assert (b"d", round(START * 1000)) == (record.key, record.timestamp)


def test_a_declaration_alone_makes_no_kpis() -> None:
    partition = Partition()
    fold = partition.take(declared(0, validity_hours=1))
    assert ([], {}, {}) == (list(partition.store.partials()), fold.events, fold.errors)


@pytest.mark.parametrize(
    "value",
    [
        Feedback("e", "d", "", "declared"),
        Feedback("e", "", "", "declared", declaration=Declaration()),
        Feedback("e", "a\tb", "", "declared", declaration=Declaration()),
        Feedback("e", "d", "", "declared", declaration=Declaration(validity_hours=-1.0)),
        Feedback("e", "d", "", "declared", declaration=Declaration(start=1e300)),
    ],
)
def test_what_declares_nothing_is_a_dead_letter(value: Feedback) -> None:
    partition = Partition()
    fold = partition.take_values([(msgspec.json.encode(value), START)])
    assert (1, {}) == (fold.dead, partition.store.terms)
    assert msgspec.json.encode(value) == partition.last(TOPICS.dead_letters).value


# Any histories.

DELIVERIES = ("d", "e")
RECIPIENTS = ("a@example.org", "b@example.org")


def a_history(random: Random, number: int) -> list[FoldEvent]:
    """Return events, ticks and declarations of two deliveries over weeks."""
    now, made = 0.0, list[FoldEvent]()
    for _ in range(number):
        now += random.choice([60.0, HOUR, 20 * HOUR, 4 * DAY])
        what = random.random()
        if what < 0.2:
            made.append(tick(now))
        elif what < 0.4:
            said = {
                "validity_hours": random.choice([None, 1.0, 30.0, 400.0]),
                "statistics_update_period_days": random.choice([None, 1.0, 9.0]),
                "start": random.choice([None, START, START + now]),
            }
            made.append(declared(now, random.choice(DELIVERIES), f"declaration {random.randrange(9)}", **said))
        else:
            kind = random.choice(["sent", "deferred", "soft_bounce", "delivered", "opened", "planned"])
            who = {"delivery_id": random.choice(DELIVERIES), "recipient": random.choice(RECIPIENTS)}
            made.append(event(kind, now - random.choice([0, 0, HOUR]), event_id=f"e{random.randrange(number)}", **who))
    return made


def state(partition: Partition) -> dict[str, Any]:
    partials = dict(partition.store.partials())
    return {
        "rows": {delivery_id: partition.rows(delivery_id) for delivery_id in DELIVERIES},
        "buckets": {delivery_id: partial.buckets for delivery_id, partial in partials.items()},
        "events": {delivery_id: partial.events for delivery_id, partial in partials.items()},
        "started": {delivery_id: partial.started_at for delivery_id, partial in partials.items()},
        "terms": partition.store.terms,
        "tick": partition.store.tick,
        "shown": shown(partition),
    }


def divided(random: Random, events: list[FoldEvent]) -> Iterable[list[FoldEvent]]:
    bounds = sorted({0, len(events), *(random.randrange(len(events)) for _ in range(6))})
    return [events[a:b] for a, b in pairwise(bounds)]


def finished(partition: Partition, number: int) -> dict[str, Any]:
    """Return the state once every sweep has had its turn."""
    for hour in range(12):  # a page of one row at a time; a delivery is not looked through again within minutes
        partition.take(tick(number * 4 * DAY + hour * HOUR))
    return state(partition)


histories = st.randoms(use_true_random=False), st.integers(1, 60)
#: The retention ends within a history.
SHORT = timing(freeze=8 * DAY, retention=20 * DAY, numbers=NUMBERS)


@pytest.mark.parametrize("times", [TIMES, SHORT], ids=["long", "short"])
@given(*histories)
def test_batches_sweeps_and_restarts_make_no_difference(times: Any, random: Random, number: int) -> None:
    events = a_history(random, number)
    whole, parts = Partition(times=times), Partition(times=times, sweep_rows=random.choice([1, 2, 50_000]))
    whole.take(*events)
    for batch in divided(random, events):
        parts.take(*batch)
        if random.random() < 0.5:
            parts = reborn(parts, restored(parts), times)
    assert finished(whole, number) == finished(parts, number)


@settings(max_examples=20)  # each opens databases
@given(*histories)
def test_both_stores_keep_the_same(random: Random, number: int) -> None:
    batches = list(divided(random, a_history(random, number)))
    memory = Partition()
    with TemporaryDirectory() as directory:
        open_store = open_stores(Path(directory), 8, 12.0)
        rocks = Partition(open_store(0))
        for batch in batches:
            memory.take(*batch)
            rocks.take(*batch)
            if random.random() < 0.3:
                rocks.store.close()
                rocks = reborn(rocks, open_store(0), TIMES)
        assert finished(memory, number) == finished(rocks, number)
        rocks.store.close()


def reborn(partition: Partition, store: Any, times: Any) -> Partition:
    heir = Partition(store, times=times)
    heir._offset, heir.written = partition._offset, partition.written
    return heir


def restored(partition: Partition) -> MemoryStore:
    """Return a store as it is restored from the last record of each key."""
    store, changes = MemoryStore(), Changes()
    restore._rows(last_records(partition, TOPICS.status), changes)
    restore._kpis(last_records(partition, TOPICS.kpis), changes)
    store.apply(changes, {})
    return store


def last_records(partition: Partition, topic: str) -> list[Any]:
    last: dict[bytes | None, Record] = {record.key: record for record in partition.written.get(topic, [])}
    return list(last.values())


def planned(at: float, type_: str = "planned", **fields: Any) -> FoldEvent:
    return event(type_, at, source="sender", **fields)


@pytest.mark.parametrize("type_", ["planned", "ready"])
def test_a_planned_recipient_is_stopped_when_the_validity_is_over(type_: str) -> None:
    partition = Partition()
    partition.take(declared(0, validity_hours=48), planned(HOUR, type_), tick(49 * HOUR - 1))
    assert (type_, 0) == (status(partition), partition.kpis().get("not_sent", 0))
    partition.take(tick(60 * HOUR))

    row = partition.row()
    assert row is not None
    assert ("not_sent_expired", START + 49 * HOUR) == (status(partition), row.updated_at), "as of the end, not the look"
    assert (1, 0) == (partition.kpis()["not_sent"], partition.kpis().get("sent", 0))
    assert {
        *("Stopped (time to send expired)", "Excluded", "Skipped"),
    } == {VIEWS[view].status_of(row.facts, row.status).name for view in ("creatio", "efs", "escala")}


def test_a_planned_recipient_waits_for_the_declared_start() -> None:
    partition = Partition()
    partition.take(declared(0, validity_hours=2, start=START + 10 * HOUR), planned(HOUR), tick(12 * HOUR - 1))
    assert "planned" == status(partition)
    partition.take(tick(12 * HOUR))
    assert "not_sent_expired" == status(partition)


def test_without_a_declared_validity_a_planned_recipient_stays_planned() -> None:
    partition = Partition()
    partition.take(declared(0, start=START), planned(HOUR), tick(29 * DAY))
    assert "planned" == status(partition)


def test_whoever_was_sent_to_in_time_is_not_stopped_though_a_tick_came_first() -> None:
    partition = Partition()
    partition.take(declared(0, validity_hours=1), planned(0))
    partition.take(tick(1.4 * HOUR))
    assert "not_sent_expired" == status(partition)
    partition.take(planned(0, event_id="again"))
    partition.take(tick(1.5 * HOUR))
    assert "not_sent_expired" == status(partition), "in time, but no sign that it was sent"
    partition.take(event("sent", HOUR - 1))
    row = partition.row()
    assert row is not None
    assert ("sent", START + HOUR - 1) == (status(partition), row.pending_since)
    assert (0, 1) == (partition.kpis().get("not_sent", 0), partition.kpis()["sent"])


def test_what_is_sent_too_late_changes_a_stopped_recipient_no_more() -> None:
    partition = Partition()
    partition.take(declared(0, validity_hours=1), planned(0), event("sent", HOUR))
    assert ("not_sent_expired", 1) == (status(partition), partition.kpis()["terminal_locked"])


def test_a_recipient_that_is_planned_late_has_the_whole_time() -> None:
    """As an automation does, for as long as it runs."""
    partition = Partition()
    partition.take(declared(0, validity_hours=1), planned(0), planned(5 * HOUR, recipient="late@example.org"))
    partition.take(tick(5.5 * HOUR))
    rows = partition.rows()
    assert ["not_sent_expired", "planned"] == [
        STATUS_NAME[rows[who].status] for who in ("r@example.org", "late@example.org")
    ]
