"""One partition's KPIs, counted anew from its rows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from aftersend.engine.aiokafka.records import FetchedRecord
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

#: The totals that rows keep a tally of, by their field in `RecipientState`.
TALLIES: Final = {
    "total_opens": "opens",
    "total_machine_opens": "machine_opens",
    "total_clicks": "clicks",
    "total_machine_clicks": "machine_clicks",
}
#: The KPIs that rows alone give.
NAMES: Final = (*(indicator.name for indicator in INDICATORS), *TALLIES)

#: What counting needs of a row: its class in the KPIs, and its tallies in the order of `TALLIES`.
RowCounts = tuple[int, tuple[int, ...]]


class PartitionRecount:
    """What the status and KPI topics hold of one partition, as far as they were read.

    Args:
        number: of the partition.
        codec: how the topics are written.
        retention: seconds from a delivery's start until its rows are tombstoned.
    """

    def __init__(self, number: int, codec: Codec, retention: float) -> None:
        self.number = number
        self.parts: dict[str, DeliveryKpis] = {}
        self._codec = codec
        self._retention = retention
        self._rows: dict[str, dict[str, RowCounts]] = {}
        #: Rows that look the same share one object: there are few classes and many rows.
        self._gists: dict[RowCounts, RowCounts] = {}
        #: By delivery, recipients whose row says one thing to consumers and another one to a restart.
        self._torn: dict[str, set[str]] = {}
        #: By what the rows say in JSON.
        self._facts: dict[bytes, int] = {}
        self._tombstoned: set[str] = set()
        self._tick = 0.0

    def apply(self, topic: str, _partition: int, records: list[FetchedRecord]) -> None:
        """Take records of either topic."""
        if topic == self._codec.topics.status:
            for record in records:
                self._take_row(record)
        else:
            for record in records:
                self._take_part(record)

    def _take_row(self, record: FetchedRecord) -> None:
        if record.value is None:
            delivery_id, _, recipient = (record.key or b"").decode().rpartition(SEPARATOR)
            self._tombstoned.add(delivery_id)
            self._rows.get(delivery_id, {}).pop(recipient, None)
            self._torn.get(delivery_id, set()).discard(recipient)
            return
        state = decode_state(record.value)
        facts = bytes(state.facts)
        if facts not in self._facts:
            self._facts[facts] = facts_of_names(msgspec.json.decode(facts, type=list[str]))
        status, bits = STATUS_NUMBER[state.status, state.final], self._facts[facts]
        gist = counts_of_row(state, status, bits)
        self._rows.setdefault(state.delivery_id, {})[state.recipient] = self._gists.setdefault(gist, gist)
        row = decode_row(row_from_headers(record.headers))
        if (row.status, row.facts, row.version) == (status, bits, state.version):
            self._torn.get(state.delivery_id, set()).discard(state.recipient)
        else:
            self._torn.setdefault(state.delivery_id, set()).add(state.recipient)

    def _take_part(self, record: FetchedRecord) -> None:
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
        """Tell whether a delivery's rows are gone or just going."""
        part = self.parts.get(delivery_id)
        if delivery_id in self._tombstoned or (part is not None and part.archived):
            return True
        return part is not None and part.started_at + self._retention <= self._tick

    def compare(self, report: DriftReport, only: str | None) -> list[Drift]:
        """Return where the KPI topic says something else than the rows, or a row's header than the row.

        Args:
            report: is told what was looked at.
            only: the one delivery of interest; None: all.
        """
        drift: list[Drift] = []
        for delivery_id in sorted(self._rows.keys() | self.parts.keys()):
            if only is not None and delivery_id != only:
                continue
            report.deliveries.add(delivery_id)
            if torn := len(self._torn.get(delivery_id, ())):
                drift.append(Drift(delivery_id, self.number, HEADERS, "rows that disagree", 0, torn))
            if self.is_archived(delivery_id):
                report.archived.add(delivery_id)
                continue
            recounted = count(self._rows.get(delivery_id, {}).values())
            said = _said(self.parts.get(delivery_id))
            report.compared += len(recounted.keys() | said.keys())
            drift += differences(recounted, said, delivery_id, self.number, ROWS)
        return drift

    def rows(self, only: str | None) -> int:
        """Return the number of rows."""
        return sum(len(rows) for delivery_id, rows in self._rows.items() if only is None or delivery_id == only)


def counts_of_row(state: RecipientState, status: int, facts: int) -> RowCounts:
    """Return what counting needs of a row, as consumers read it.

    Args:
        state: the row. Without a delivery or a recipient it counts nowhere.
        status: its number in `aftersend.rules.recipient.statuses`.
        facts: its facts' bits there.
    """
    if facts & Fact.TEST or not state.delivery_id or not state.recipient:
        return -1, ()
    return pack_bucket(status, facts), tuple(getattr(state, field) for field in TALLIES.values())


def count(gists: Iterable[RowCounts]) -> dict[str, int]:
    """Return the KPIs and statuses of rows, by the names that Redis has for them."""
    cells: dict[int, int] = {}
    totals = dict.fromkeys(TALLIES, 0)
    for cell, tallies in gists:
        if cell < 0:
            continue
        cells[cell] = cells.get(cell, 0) + 1
        for name, number in zip(TALLIES, tallies, strict=False):
            totals[name] += number
    counted = kpis(cells, {})
    result = {name: counted[name] for name in NAMES} | totals
    return result | {f"status_{name}": rows for name, rows in statuses(cells).items()}


def _said(part: DeliveryKpis | None) -> dict[str, int]:
    if part is None:
        return {}
    result = {name: part.kpis.get(name, 0) for name in NAMES}
    return result | {f"status_{name}": rows for name, rows in part.statuses.items()}
