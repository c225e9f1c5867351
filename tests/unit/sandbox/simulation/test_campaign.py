"""A simulated campaign: true to life, and the same each time."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from aftersend.rules.recipient.kinds import KIND_STATUS, kind_of
from aftersend.rules.recipient.statuses import STATUS_NAME, STATUS_NAMES
from aftersend.sandbox.simulation.campaign import ECHOES, OLD_DAYS, Summary, simulate_campaign
from aftersend.sandbox.simulation.deliveries import OLD_DELIVERY, delivery
from aftersend.sandbox.simulation.journeys import JOURNEYS
from aftersend.schemas.event import Feedback
from aftersend.schemas.raw import RawRecord
from aftersend.sources.base import SourceError, SourceOptions
from aftersend.sources.parsing.bounce_classes import CLASSES
from aftersend.sources.registry import REGISTRY
from aftersend.sources.simulation.replies import REFUSALS

START = 1757069812.0
RECIPIENTS = 3_000
DELIVERIES = 5


def run(**changes: Any) -> list[RawRecord]:
    arguments: dict[str, Any] = {"recipients": RECIPIENTS, "deliveries": DELIVERIES, "seed": 1, "start": START}
    return list(simulate_campaign(**arguments | changes))


@pytest.fixture(scope="module")
def records() -> list[RawRecord]:
    return run()


@pytest.fixture(scope="module")
def events(records: list[RawRecord]) -> list[Feedback]:
    """Return the events of all records that can be read."""
    parsers = {name: source.parser(SourceOptions()) for name, source in REGISTRY.items()}
    events: list[Feedback] = []
    for record in records:
        try:
            events += parsers[record.source](record.value)
        except SourceError:
            continue
    return events


def kumo_records(records: list[RawRecord]) -> list[dict[str, Any]]:
    read = []
    for record in records:
        try:
            read.append(json.loads(record.value) if record.source == "kumomta" else {})
        except ValueError:
            continue
    return [record for record in read if record]


def test_the_same_for_the_same_seed(records: list[RawRecord]) -> None:
    assert records == run()


def test_another_seed_another_campaign(records: list[RawRecord]) -> None:
    assert records != run(seed=2)


def test_in_the_order_of_arrival(records: list[RawRecord]) -> None:
    arrivals = [record.timestamp_ms for record in records]
    assert arrivals == sorted(arrivals)
    assert arrivals[-1] < (START + 2 * 3 * 3600) * 1000


def test_all_but_the_broken_ones_can_be_read(records: list[RawRecord]) -> None:
    parsers = {name: source.parser(SourceOptions()) for name, source in REGISTRY.items()}
    broken = []
    for record in records:
        try:
            list(parsers[record.source](record.value))
        except SourceError as error:
            broken.append(str(error))
    assert 3 == len(broken)


@pytest.mark.parametrize("count", [0, 1, 9])
def test_as_many_broken_and_unattributed_ones_as_asked_for(count: int) -> None:
    summary = Summary()
    simulated = run(recipients=10, broken=count, unattributed=count, summary=summary, duplicates=0.0)
    assert (count, count) == (summary.broken, summary.unattributed)
    parsers = {name: source.parser(SourceOptions()) for name, source in REGISTRY.items()}
    unread, unnamed = 0, 0
    for record in simulated:
        try:
            unnamed += sum(not event.delivery_id for event in parsers[record.source](record.value))
        except SourceError:
            unread += 1
    assert (count, count) == (unread, unnamed)


def test_every_status_is_reached(events: list[Feedback]) -> None:
    """But two: `unknown` is reached by waiting in vain, and an extra copy of an address leaves the status alone."""
    reached = {STATUS_NAME[KIND_STATUS[kind_of(event)]] for event in events}
    assert set(STATUS_NAMES) - {"unknown", "not_sent_duplicate_address"} == reached - {"none"}
    assert {"autoresponded", "resubscribed"} <= {event.type for event in events}


def test_a_small_campaign_shows_everything() -> None:
    """Every journey, every bounce class and every reason for being left out, before chance has its say."""
    summary = Summary()
    small = run(recipients=len(JOURNEYS) + len(REFUSALS) + 13, summary=summary)
    assert {step.name for journey in JOURNEYS for step in journey.steps} == set(summary.steps)
    classes = {r["bounce_classification"] for r in kumo_records(small) if r["type"] == "Bounce"}
    assert {c.name for c in CLASSES} | {"Uncategorized"} == classes


def test_three_in_a_hundred_come_twice_and_one_46_times(records: list[RawRecord], events: list[Feedback]) -> None:
    times = Counter((record.source, record.value) for record in records)
    assert 1 == sum(count == ECHOES for count in times.values())
    twice = sum(count == 2 for count in times.values())
    assert 0.025 < twice / len(times) < 0.035
    assert {1, 2, ECHOES} == set(times.values())
    # Each repetition has the id of the first.
    ids = Counter((event.delivery_id, event.recipient, event.event_id) for event in events)
    assert 1 == sum(count == ECHOES for count in ids.values())


def test_the_one_comes_back_all_through_the_run(records: list[RawRecord]) -> None:
    (value,) = [value for value, count in Counter(record.value for record in records).items() if count == ECHOES]
    arrivals = [record.timestamp_ms for record in records if record.value == value]
    assert arrivals[-1] - arrivals[0] > 0.9 * 3 * 3600 * 1000


def test_no_duplicates_where_none_are_wanted() -> None:
    times = Counter(record.value for record in run(recipients=300, duplicates=0.0))
    assert {1, ECHOES} == set(times.values())


def test_events_of_one_recipient_overtake_each_other(records: list[RawRecord]) -> None:
    seen: dict[str, str] = {}
    for record in kumo_records(records):
        seen.setdefault(record["id"], record["type"])
    assert 0.01 < sum(first not in {"Reception", "Rejection"} for first in seen.values()) / len(seen) < 0.3


def test_some_addresses_come_in_two_spellings(events: list[Feedback]) -> None:
    spellings: dict[str, set[str]] = {}
    for event in events:
        spellings.setdefault(event.recipient, set()).add(event.address or event.recipient)
    assert sum(len(forms) == 2 for forms in spellings.values()) > 10
    assert any("@xn--" in recipient for recipient in spellings)


def test_some_messages_have_two_recipients(records: list[RawRecord]) -> None:
    shared = [record for record in kumo_records(records) if len(record["recipient"]) == 2]
    assert {"Reception", "Delivery"} == {record["type"] for record in shared}


def test_a_person_is_in_two_deliveries(events: list[Feedback]) -> None:
    audience: dict[str, set[str]] = {}
    for event in events:
        if event.delivery_id not in {"", OLD_DELIVERY.id} and not event.test:
            audience.setdefault(event.recipient, set()).add(event.delivery_id)
    assert 2 == max(map(len, audience.values()))
    assert {delivery(number).id for number in range(DELIVERIES)} == set().union(*audience.values())


def test_message_types_machines_and_test_messages(events: list[Feedback]) -> None:
    assert {"campaign", "automation", "transactional"} <= {event.message_type for event in events}
    assert {"sent", "delivered", "opened"} == {event.type for event in events if event.test}
    machine_first: dict[tuple[str, str], list[bool]] = {}
    for event in sorted(events, key=lambda event: event.occurred_at):
        if event.type == "opened":
            machine_first.setdefault((event.delivery_id, event.recipient), []).append(event.machine)
    assert any(machines[0] and not machines[-1] for machines in machine_first.values())
    assert any(event.type == "clicked" and event.machine for event in events)
    assert any(event.type == "clicked" and event.unsubscribe_link for event in events)
    assert any(event.type == "unsubscribed" and event.one_click for event in events)


def test_the_old_delivery_is_frozen_when_more_comes_of_it(events: list[Feedback], records: list[RawRecord]) -> None:
    summary = Summary()
    run(recipients=0, summary=summary)
    assert 18 == summary.late
    old = [r for r in records if OLD_DELIVERY.id.encode() in r.value]
    assert old[0].timestamp_ms < (START - OLD_DAYS * 86400 + 60) * 1000
    late = [r for r in old if r.timestamp_ms > (START - 86400) * 1000]
    assert 18 <= len(late)
    kinds = {event.type for event in events if event.delivery_id == OLD_DELIVERY.id and event.occurred_at >= START}
    assert {"opened", "clicked", "unsubscribed", "complained"} <= kinds


def test_records_are_complete(records: list[RawRecord], corpus: Path) -> None:
    """As KumoMTA documents them, and about as large."""
    lines = (corpus / "mta/kumomta/docs_log_records/records.jsonl").read_text().splitlines()
    documented = {key for line in lines for key in json.loads(line)["record"]} - {"bogus"}
    deliveries = [record for record in kumo_records(records) if record["type"] == "Delivery"]
    assert documented <= set(deliveries[0])
    assert 900 < sum(len(r.value) for r in records if r.source == "kumomta") / sum(
        r.source == "kumomta" for r in records
    )
    types = {record["type"] for record in kumo_records(records)}
    assert {
        *("Reception", "Delivery", "Bounce", "TransientFailure", "Expiration", "AdminBounce", "OOB", "Feedback"),
        *("Rejection", "AdminRebind", "Delayed"),
    } == types


def test_memory_is_bounded() -> None:
    """However many recipients, only a window's worth waits."""
    summary = Summary()
    count = sum(1 for _ in simulate_campaign(6_000, 2, 1, START, window=300, summary=summary))
    assert count == summary.records
    assert summary.most_waiting < 1_000


def test_a_short_run_keeps_within_its_time() -> None:
    summary = Summary()
    run(duration=60.0, summary=summary)
    assert summary.last_ms < (START + 130) * 1000


def test_summary(records: list[RawRecord]) -> None:
    summary = Summary()
    run(summary=summary)
    assert len(records) == summary.records == sum(summary.steps.values()) + summary.duplicates + summary.broken
    assert (records[0].timestamp_ms, records[-1].timestamp_ms) == (summary.first_ms, summary.last_ms)
    assert (5, 3 * 3 * DELIVERIES) == (summary.unattributed, summary.tests)


@pytest.mark.parametrize("recipients,deliveries", [(0, 1), (1, 1), (3, 1), (5, 2), (20, 40)])
def test_any_size(recipients: int, deliveries: int) -> None:
    assert run(recipients=recipients, deliveries=deliveries)


def test_no_delivery() -> None:
    with pytest.raises(ValueError, match="at least one delivery"):
        run(deliveries=0)


def test_deliveries_differ() -> None:
    assert 100 == len({delivery(number).id for number in range(100)})
