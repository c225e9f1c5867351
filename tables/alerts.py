"""Alerts on deliveries: KPIs and declarations added up over the partitions, and the alerts raised so far.

The alerts topic is the only state: an alert is raised if and only if its last record has the state `raised`. Everything
else is read again from the KPI topic and the deliveries topic.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import msgspec

from aftersend.engine.aiokafka.records import FetchedRecord
from aftersend.rules.kpi.alerts import Threshold, Thresholds, compare_with_thresholds
from aftersend.rules.recipient.timing import Timing, closing_times, terms_of
from aftersend.schemas.alert import DeliveryAlert
from aftersend.schemas.delivery import Declaration, Delivery, DeliveryTerms
from aftersend.schemas.topics import Topics
from aftersend.schemas.version import SCHEMA_VERSION
from aftersend.tables.codec.keys import CLOCK_KEY, SEPARATOR, is_kpi_key
from aftersend.tables.codec.public import decode_clock

RAISED: Final = "raised"
ENDED: Final = "ended"


class AlertCounts(msgspec.Struct, gc=False):
    """The KPIs that thresholds compare; the rest of a record is not decoded."""

    sent: int = 0
    delivered: int = 0
    hard_bounced: int = 0
    unsubscribed: int = 0
    complained: int = 0


class _Partial(msgspec.Struct, gc=False):
    """The fields of `aftersend.schemas.kpi.DeliveryKpis` that alerts need."""

    delivery_id: str
    partition: int
    started_at: float
    updated_at: float
    kpis: AlertCounts
    archived: bool = False


class _Total(NamedTuple):
    """A delivery, added up over its partitions."""

    counts: dict[str, int]
    updated_at: float


_decode_partial: Final = msgspec.json.Decoder(_Partial).decode
_decode_delivery: Final = msgspec.json.Decoder(Delivery).decode
_decode_alert: Final = msgspec.json.Decoder(DeliveryAlert).decode
_encode: Final = msgspec.json.Encoder().encode


class DeliveryAlerts:
    """The alerts of all deliveries.

    Args:
        topics: names of the topics.
        timing: of the installation.
        thresholds: of its tenants.
    """

    def __init__(self, topics: Topics, timing: Timing, thresholds: Thresholds) -> None:
        self._timing = timing
        self._thresholds = thresholds
        self._take: dict[str, Callable[[FetchedRecord], None]] = {
            topics.kpis: self._take_partial,
            topics.deliveries: self._take_delivery,
            topics.alerts: self._take_alert,
        }
        self._partials: dict[str, dict[int, _Partial]] = {}
        self._declared: dict[str, tuple[Delivery, DeliveryTerms]] = {}
        #: By delivery and threshold: the last record.
        self._last: dict[str, dict[str, DeliveryAlert]] = {}
        #: Deliveries that may have active alerts.
        self._alerting: set[str] = set()
        self._tick = 0.0
        #: Deliveries with new records.
        self._changed: set[str] = set()

    def take(self, topic: str, _partition: int, records: list[FetchedRecord]) -> None:
        """Take records of one of the topics (an `aftersend.engine.changelog.Apply`)."""
        take = self._take[topic]
        for record in records:
            take(record)

    def _take_partial(self, record: FetchedRecord) -> None:
        if record.key == CLOCK_KEY:
            if record.value is not None:
                self._tick = max(self._tick, decode_clock(record.value))
        elif is_kpi_key(record.key) and record.value is not None:
            partial = _decode_partial(record.value)
            if not partial.delivery_id:
                return  # events without a delivery
            if partial.archived:
                self._partials.pop(partial.delivery_id, None)
            else:
                self._partials.setdefault(partial.delivery_id, {})[partial.partition] = partial
                self._changed.add(partial.delivery_id)

    def _take_delivery(self, record: FetchedRecord) -> None:
        delivery_id = (record.key or b"").decode()
        if record.value is None:
            self._declared.pop(delivery_id, None)
            return
        delivery = _decode_delivery(record.value)
        declaration = Declaration(
            statistics_update_period_days=delivery.statistics_update_period_days, start=delivery.start
        )
        self._declared[delivery_id] = delivery, terms_of(declaration, delivery.declared_at, delivery.event_id)
        self._changed.add(delivery_id)

    def _take_alert(self, record: FetchedRecord) -> None:
        if record.value is not None:
            self.written(_decode_alert(record.value))

    def written(self, alert: DeliveryAlert) -> None:
        """Take note of a committed record of the alerts topic."""
        self._alerting.add(alert.delivery_id)
        self._last.setdefault(alert.delivery_id, {})[alert.alert] = alert

    def crossings(self) -> list[DeliveryAlert]:
        """Return the alerts to write for deliveries that have changed since the last call; pass them to `written`."""
        changed, self._changed = self._changed, set()
        return [alert for delivery_id in sorted(changed) for alert in self._crossings(delivery_id)]

    def _crossings(self, delivery_id: str) -> list[DeliveryAlert]:
        total = self._open(delivery_id)
        if total is None:
            return []
        declared = self._declared.get(delivery_id)
        name, tenant = (declared[0].name, declared[0].tenant) if declared is not None else ("", "")
        last = self._last.get(delivery_id, {})
        active = frozenset(alert.alert for alert in last.values() if alert.state == RAISED)
        if active:
            self._alerting.add(delivery_id)
        thresholds = {threshold.name: threshold for threshold in self._thresholds.of(tenant)}
        result = compare_with_thresholds(active, total.counts, thresholds.values())
        changes = [(alert.name, RAISED) for alert in result.raised] + [(ended, ENDED) for ended in result.ended]
        return [
            _alert_record(delivery_id, thresholds[alert], state, total, last.get(alert), name, tenant)
            for alert, state in changes
        ]

    def _open(self, delivery_id: str) -> _Total | None:
        """Return a delivery's sums while its statistics change; None: they no longer do."""
        partials = self._partials.get(delivery_id)
        if not partials:
            return None
        started_at = max(partial.started_at for partial in partials.values())
        _, terms = self._declared.get(delivery_id, (None, None))
        if closing_times(started_at, terms, self._timing)[0] <= self._tick:
            return None
        counts = dict.fromkeys(AlertCounts.__struct_fields__, 0)
        for partial in partials.values():
            for name in counts:
                counts[name] += getattr(partial.kpis, name)
        return _Total(counts, max(partial.updated_at for partial in partials.values()))

    def active(self) -> list[DeliveryAlert]:
        """Return the active alerts of deliveries whose statistics still change, the latest first."""
        raised: list[DeliveryAlert] = []
        for delivery_id in tuple(self._alerting):
            active = [alert for alert in self._last[delivery_id].values() if alert.state == RAISED]
            if active and self._open(delivery_id) is not None:
                raised += active
            else:
                self._alerting.discard(delivery_id)
        return sorted(raised, key=lambda alert: (-alert.at, alert.delivery_id, alert.alert))


def _alert_record(
    delivery_id: str,
    threshold: Threshold,
    state: str,
    total: _Total,
    before: DeliveryAlert | None,
    name: str,
    tenant: str,
) -> DeliveryAlert:
    above, below = total.counts[threshold.numerator], total.counts[threshold.denominator]
    return DeliveryAlert(
        SCHEMA_VERSION,
        delivery_id,
        threshold.name,
        state,
        (before.version if before is not None else 0) + 1,
        total.updated_at,
        above / below if below else 0.0,
        threshold.limit,
        threshold.minimum,
        above,
        threshold.numerator,
        below,
        threshold.denominator,
        name,
        tenant,
    )


def alert_key(alert: DeliveryAlert) -> bytes:
    """Return an alert's key on the alerts topic."""
    return f"{alert.delivery_id}{SEPARATOR}{alert.alert}".encode()


def encode_alert(alert: DeliveryAlert) -> bytes:
    """Return an alert's value on the alerts topic."""
    return _encode(alert)
