"""Recomputes the KPIs of one partition from its rows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from aftersend.engine.aiokafka.records import FetchedRecord
from aftersend.publish.kpis import STATUS_PREFIX
from aftersend.rules.kpi.indicators import INDICATORS, kpis, statuses
from aftersend.rules.recipient.facts import Fact, facts_of_names
from aftersend.rules.recipient.statuses import STATUS_NUMBER
from aftersend.schemas.kpi import DeliveryKpis
from aftersend.schemas.packing import pack_bucket
from aftersend.schemas.recipient import RecipientState
from aftersend.services.drift.findings import HEADERS, ROWS, Drift, DriftReport, differences
from aftersend.tables.codec.keys import CLOCK_KEY, SEPARATOR, is_kpi_key
from aftersend.tables.codec.public import Codec, decode_clock, decode_state
from aftersend.tables.codec.stored import decode_row, row_from_headers

_decode_value: Final = msgspec.json.Decoder(DeliveryKpis).decode

#: Totals that rows count, by their field in `RecipientState`.
TALLIES: Final = {
    "total_opens": "opens",
    "total_machine_opens": "machine_opens",
    "total_clicks": "clicks",
    "total_machine_clicks": "machine_clicks",
}
#: KPIs that can be computed from rows alone.
NAMES: Final = (*(indicator.name for indicator in INDICATORS), *TALLIES)

#: Contribution of a row: its KPI bucket (-1: none), and its counters in the order of `TALLIES`.
RowCounts = tuple[int, tuple[int, ...]]


class PartitionRecount:
    """Rows and KPIs of one partition of the status and KPI topics, as far as they were read.

    Args:
        number: of the partition.
        codec: how the topics are written.
        retention: seconds from a delivery's start until its rows are deleted.
    """

    def __init__(self, number: int, codec: Codec, retention: float) -> None:
        self.number = number
        self.parts: dict[str, DeliveryKpis] = {}
        self._codec = codec
        self._retention = retention
        self._rows: dict[str, dict[str, RowCounts]] = {}
        #: Rows with the same contribution share one object: there are many rows and few contributions.
        self._shared: dict[RowCounts, RowCounts] = {}
        #: Recipients whose public record and stored row differ, by delivery id.
        self._inconsistent: dict[str, set[str]] = {}
        #: Facts as bits, by the list of their names in JSON.
        self._facts: dict[bytes, int] = {}
        self._tombstoned: set[str] = set()
        self._tick = 0.0

    def apply(self, topic: str, _partition: int, records: list[FetchedRecord]) -> None:
        """Add records of either topic."""
        if topic == self._codec.topics.status:
            for record in records:
                self._apply_row(record)
        else:
            for record in records:
                self._apply_part(record)

    def _apply_row(self, record: FetchedRecord) -> None:
        if record.value is None:
            delivery_id, _, recipient = (record.key or b"").decode().rpartition(SEPARATOR)
            self._tombstoned.add(delivery_id)
            self._rows.get(delivery_id, {}).pop(recipient, None)
            self._inconsistent.get(delivery_id, set()).discard(recipient)
            return
        state = decode_state(record.value)
        facts = bytes(state.facts)
        if facts not in self._facts:
            self._facts[facts] = facts_of_names(msgspec.json.decode(facts, type=list[str]))
        status, bits = STATUS_NUMBER[state.status, state.final], self._facts[facts]
        counts = counts_of_row(state, status, bits)
        self._rows.setdefault(state.delivery_id, {})[state.recipient] = self._shared.setdefault(counts, counts)
        row = decode_row(row_from_headers(record.headers))
        if (row.status, row.facts, row.version) == (status, bits, state.version):
            self._inconsistent.get(state.delivery_id, set()).discard(state.recipient)
        else:
            self._inconsistent.setdefault(state.delivery_id, set()).add(state.recipient)

    def _apply_part(self, record: FetchedRecord) -> None:
        if record.value is None:
            return
        if record.key == CLOCK_KEY:
            self._tick = max(self._tick, decode_clock(record.value))
            return
        if not is_kpi_key(record.key):
            return
        value = _decode_value(record.value)
        self.parts[value.delivery_id] = value

    def is_archived(self, delivery_id: str) -> bool:
        """Return whether a delivery's rows are deleted, or are being deleted."""
        part = self.parts.get(delivery_id)
        if delivery_id in self._tombstoned or (part is not None and part.archived):
            return True
        return part is not None and part.started_at + self._retention <= self._tick

    def compare(self, report: DriftReport, only: str | None) -> list[Drift]:
        """Return the numbers of the KPI topic that differ from the rows, and the number of inconsistent rows.

        Args:
            report: gets the number of comparisons, and the deliveries that were compared or are archived.
            only: id of the only delivery to compare; None: all.
        """
        drift: list[Drift] = []
        for delivery_id in sorted(self._rows.keys() | self.parts.keys()):
            if only is not None and delivery_id != only:
                continue
            report.deliveries.add(delivery_id)
            if rows := len(self._inconsistent.get(delivery_id, ())):
                drift.append(Drift(delivery_id, self.number, HEADERS, "rows that disagree", 0, rows))
            if self.is_archived(delivery_id):
                report.archived.add(delivery_id)
                continue
            recounted = count(self._rows.get(delivery_id, {}).values())
            published = _published(self.parts.get(delivery_id))
            report.compared += len(recounted.keys() | published.keys())
            drift += differences(recounted, published, delivery_id, self.number, ROWS)
        return drift

    def rows(self, only: str | None) -> int:
        """Return the number of rows, of one delivery or (None) of all."""
        return sum(len(rows) for delivery_id, rows in self._rows.items() if only is None or delivery_id == only)


def counts_of_row(state: RecipientState, status: int, facts: int) -> RowCounts:
    """Return the contribution of a row.

    Args:
        state: public record of the row; without a delivery or a recipient it contributes nothing.
        status: its number in `aftersend.rules.recipient.statuses`.
        facts: its facts as bits.
    """
    nothing_known = not facts and not status
    if nothing_known or facts & Fact.TEST or not state.delivery_id or not state.recipient:
        return -1, ()
    return pack_bucket(status, facts), tuple(getattr(state, field) for field in TALLIES.values())


def count(rows: Iterable[RowCounts]) -> dict[str, int]:
    """Return the KPIs and statuses of rows, by their names in Redis."""
    buckets: dict[int, int] = {}
    totals = dict.fromkeys(TALLIES, 0)
    for bucket, tallies in rows:
        if bucket < 0:
            continue
        buckets[bucket] = buckets.get(bucket, 0) + 1
        for name, number in zip(TALLIES, tallies, strict=False):
            totals[name] += number
    counted = kpis(buckets, {})
    result = {name: counted[name] for name in NAMES} | totals
    return result | {STATUS_PREFIX + name: number for name, number in statuses(buckets).items()}


def _published(part: DeliveryKpis | None) -> dict[str, int]:
    if part is None:
        return {}
    result = {name: part.kpis.get(name, 0) for name in NAMES}
    return result | {STATUS_PREFIX + name: rows for name, rows in part.statuses.items()}
