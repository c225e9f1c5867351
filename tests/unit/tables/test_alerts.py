"""Alerts on whole deliveries, from records as they lie on the topics."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from aftersend.rules.kpi.alerts import THRESHOLDS, Threshold, Thresholds
from aftersend.rules.recipient.timing import DAY, timing
from aftersend.schemas.alert import DeliveryAlert
from aftersend.schemas.delivery import Delivery
from aftersend.schemas.kpi import DeliveryKpis
from aftersend.schemas.topics import Topics
from aftersend.schemas.version import SCHEMA_VERSION
from aftersend.tables.alerts import DeliveryAlerts, alert_key, encode_alert
from aftersend.tables.codec.keys import CLOCK_KEY, terms_key
from aftersend.tables.codec.public import encode_clock

TOPICS = Topics()
TIMING = timing()
START = 1_757_851_200.0
USUAL = Thresholds(THRESHOLDS, {"acme": (Threshold("hard_bounces", "hard_bounced", "sent", 0.5, 10),)})


class Record:
    offset = 0
    timestamp = 0
    headers: list[tuple[str, bytes | None]]

    def __init__(self, key: bytes, value: bytes | None) -> None:
        self.key: bytes | None = key
        self.value = value
        self.headers = []


def partial(delivery: str, number: int = 0, at: float = START, *, archived: bool = False, **kpis: int) -> Record:
    value = DeliveryKpis(SCHEMA_VERSION, delivery, number, 1, START, at, kpis, {}, {}, archived)
    return Record(f"{delivery}\t{number}".encode(), msgspec.json.encode(value))


def declared(delivery: str, **fields: object) -> Record:
    value = {"schema": 1, "delivery_id": delivery, "declared_at": START, "event_id": "e", **fields}
    return Record(delivery.encode(), msgspec.json.encode(msgspec.convert(value, Delivery)))


class Watcher:
    """Alerts, and the topic that they write."""

    def __init__(self, thresholds: Thresholds = USUAL) -> None:
        self.topic: list[DeliveryAlert] = []
        self.inputs: list[tuple[str, Record]] = []
        self.thresholds = thresholds
        self.alerts = DeliveryAlerts(TOPICS, TIMING, thresholds)

    def take(self, *records: Record, topic: str = TOPICS.kpis) -> None:
        self.inputs += [(topic, record) for record in records]
        for record in records:
            self.alerts.take(topic, 0, [record])

    def look(self) -> list[tuple[str, str, str, int]]:
        """Write what has crossed a limit; return it."""
        crossings = self.alerts.crossings()
        for alert in crossings:
            self.topic.append(alert)
            self.alerts.written(alert)
        return [(alert.delivery_id, alert.alert, alert.state, alert.version) for alert in crossings]

    def restart(self) -> None:
        """Begin anew, with what is on the topics."""
        self.alerts = DeliveryAlerts(TOPICS, TIMING, self.thresholds)
        self.alerts.take(TOPICS.alerts, 0, [Record(alert_key(alert), encode_alert(alert)) for alert in self.topic])
        for topic, record in self.inputs:
            self.alerts.take(topic, 0, [record])

    def active(self) -> list[tuple[str, str]]:
        return [(alert.delivery_id, alert.alert) for alert in self.alerts.active()]


def test_partitions_are_added_up() -> None:
    """Neither alone has enough messages, nor is it above the limit; a later record of a partition replaces its own."""
    watcher = Watcher()
    watcher.take(partial("d", 0, sent=60, hard_bounced=6), partial("d", 1, START + 9, sent=60, hard_bounced=0))
    assert [] == watcher.look()
    watcher.take(partial("d", 0, sent=60, hard_bounced=7))

    assert [("d", "hard_bounces", "raised", 1)] == watcher.look()
    (alert,) = watcher.topic
    assert (7 / 120, 0.05, 100, 7, 120, START + 9) == (
        alert.share,
        alert.limit,
        alert.minimum,
        alert.numerator,
        alert.denominator,
        alert.at,
    )
    assert [] == watcher.look()


def test_once_per_crossing_through_restarts() -> None:
    watcher = Watcher()
    watcher.take(partial("d", sent=100, hard_bounced=6))
    assert [("d", "hard_bounces", "raised", 1)] == watcher.look()
    watcher.restart()
    assert [] == watcher.look()
    assert [("d", "hard_bounces")] == watcher.active()
    watcher.take(partial("d", sent=200, hard_bounced=6))
    watcher.restart()
    assert [("d", "hard_bounces", "ended", 2)] == watcher.look()
    assert [] == watcher.active()
    watcher.take(partial("d", sent=200, hard_bounced=60))
    assert [("d", "hard_bounces", "raised", 3)] == watcher.look()


def test_what_was_written_but_not_committed_is_said_again() -> None:
    """A look whose transaction failed leaves nothing behind: who begins anew comes to the same."""
    watcher = Watcher()
    watcher.take(partial("d", sent=100, hard_bounced=6))
    lost = watcher.alerts.crossings()
    watcher.restart()

    assert lost == watcher.alerts.crossings()


def test_a_tenant_has_thresholds_of_its_own() -> None:
    """From the moment its delivery is declared; the alert names delivery and tenant."""
    watcher = Watcher()
    watcher.take(partial("d", sent=100, hard_bounced=50, delivered=100, unsubscribed=100))
    watcher.take(declared("d", tenant="acme", name="Spring"), topic=TOPICS.deliveries)
    assert [] == watcher.look()
    watcher.take(partial("d", sent=100, hard_bounced=51))
    assert [("d", "hard_bounces", "raised", 1)] == watcher.look()
    assert ("acme", "Spring", 0.5) == (watcher.topic[0].tenant, watcher.topic[0].name, watcher.topic[0].limit)


def test_a_delivery_whose_statistics_are_closed_raises_nothing() -> None:
    """By its own period where that was declared; an alert that was raised before is no longer active then."""
    watcher = Watcher()
    watcher.take(partial("raised", sent=100, hard_bounced=50))
    watcher.look()
    watcher.take(Record(CLOCK_KEY, encode_clock(0, START + TIMING.freeze)))
    watcher.take(partial("closed", sent=100, hard_bounced=50), partial("longer", sent=100, hard_bounced=50))
    watcher.take(
        declared("longer", statistics_update_period_days=TIMING.freeze / DAY + 1, tenant="acme"),
        topic=TOPICS.deliveries,
    )
    assert [] == watcher.look()
    assert [] == watcher.active()
    watcher.take(partial("longer", sent=100, hard_bounced=51))
    assert [("longer", "hard_bounces", "raised", 1)] == watcher.look()
    watcher.take(partial("longer", sent=100, hard_bounced=51, archived=True))
    assert [] == watcher.active()


def test_what_is_no_delivery() -> None:
    """Events without a delivery are none; a partition's own notes say nothing."""
    watcher = Watcher()
    watcher.take(partial("", sent=1000, hard_bounced=900), Record(terms_key("d"), b"{}"), Record(b"d\t0", None))

    assert [] == watcher.look()


COUNTS = st.builds(
    lambda sent, bounced: {"sent": sent, "hard_bounced": min(sent, bounced)},
    st.integers(0, 200),
    st.integers(0, 20),
)
STEPS = st.lists(
    st.one_of(st.tuples(st.just("kpis"), st.integers(0, 2), COUNTS), st.sampled_from(["look", "restart"])), max_size=30
)


@given(STEPS)
def test_any_course_of_things(steps: list[tuple[str, int, dict[str, int]] | str]) -> None:
    """What is active is what exceeds its limit; records of a key are raised and ended in turn, restarts or not."""
    watcher = Watcher()
    sums: dict[int, dict[str, int]] = {}
    for step in [*steps, "look"]:
        if step == "look":
            watcher.look()
            sent, bounced = (sum(one[name] for one in sums.values()) for name in ("sent", "hard_bounced"))
            assert (sent >= 100 and bounced / sent > 0.05) == (watcher.active() == [("d", "hard_bounces")])
        elif step == "restart":
            watcher.restart()
        elif isinstance(step, tuple):
            _, number, counts = step
            sums[number] = counts
            watcher.take(partial("d", number, sent=counts["sent"], hard_bounced=counts["hard_bounced"]))
    in_turn = ["raised", "ended"] * len(watcher.topic)
    assert in_turn[: len(watcher.topic)] == [alert.state for alert in watcher.topic]
    assert list(range(1, len(watcher.topic) + 1)) == [alert.version for alert in watcher.topic]
