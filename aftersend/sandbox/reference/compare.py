"""Comparing what an installation shows with what it should show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec

from aftersend.sandbox.reference import contacts, kpis
from aftersend.sandbox.reference.fold import ExpectedDelivery, Reference
from aftersend.sandbox.reference.rows import ExpectedRow

_decode: Final = msgspec.json.Decoder().decode
_SHOWN: Final = 200
#: Fields of a Redis hash that are not counters.
_NO_COUNTERS: Final = {"started_at", "updated_at", "revision"}


class Differences:
    """Collects differences: keeps the first ones and counts all."""

    def __init__(self, limit: int = 50) -> None:
        self.total = 0
        self.shown: list[str] = []
        self._limit = limit

    def add(self, text: str) -> None:
        """Note a difference."""
        self.total += 1
        if len(self.shown) < self._limit:
            self.shown.append(text)

    def lines(self) -> list[str]:
        """Return the kept differences, and a line with the number of the others."""
        more = self.total - len(self.shown)
        return [*self.shown, f"… and {more} more"] if more else list(self.shown)


class OverdueRows:
    """Rows whose wait is over but that the engine has not scanned yet: its next sweeps will."""

    def __init__(self) -> None:
        self.rows: set[tuple[str, str]] = set()

    def row(self, reference: Reference, delivery_id: str, recipient: str, row: ExpectedRow) -> ExpectedRow:
        """Return a row as it should be, before or after its expiry."""
        return row if (delivery_id, recipient) in self.rows else reference.settled(delivery_id, row)


def compare_rows(reference: Reference, found: Mapping[str, bytes], differences: Differences) -> OverdueRows:
    """Compare the rows of one partition.

    Args:
        reference: of the partition.
        found: by key of the status topic, the last value.
        differences: gets what differs.

    Returns:
        Rows that the engine has not expired yet.
    """
    overdue = OverdueRows()
    where = f"partition {reference.partition}"
    left = dict(found)
    for delivery_id, delivery in reference.deliveries.items():
        for recipient, row in delivery.rows.items():
            key = f"{delivery_id}\t{recipient}"
            value = left.pop(key, None)
            if value is None:
                differences.add(f"{where}: row {_name(key)} is missing")
                continue
            shown = _shown(value)
            if shown == _expected(reference.settled(delivery_id, row), delivery_id, recipient):
                continue
            if reference.is_overdue(delivery_id, row) and shown == _expected(row, delivery_id, recipient):
                overdue.rows.add((delivery_id, recipient))
                continue
            expected = _expected(reference.settled(delivery_id, row), delivery_id, recipient)
            differences.add(f"{where}: row {_name(key)}: {_fields(shown, expected)}")
        for recipient, row in delivery.forgotten:  # may exist until the next sweep
            value = left.pop(f"{delivery_id}\t{recipient}", None)
            if (
                value is not None
                and reference.is_overdue(delivery_id, row)
                and _shown(value) == _expected(row, delivery_id, recipient)
            ):
                overdue.rows.add((delivery_id, recipient))
    for key in left:
        differences.add(f"{where}: row {_name(key)} should not be there")
    return overdue


def _expected(row: ExpectedRow, delivery_id: str, recipient: str) -> dict[str, Any]:
    return row.public(delivery_id, recipient)


def _shown(value: bytes) -> dict[str, Any]:
    shown: dict[str, Any] = _decode(value)
    names = shown["facts"]
    shown["facts"] = set(names)
    if len(names) != len(shown["facts"]):
        shown["facts"] = names
    return shown


def compare_contacts(reference: Reference, found: Mapping[str, bytes], differences: Differences) -> None:
    """Compare the contacts of one partition; `found` is by address."""
    where = f"partition {reference.partition}"
    left = dict(found)
    for address, contact in reference.contacts.by_address.items():
        value = left.pop(address, None)
        if value is None:
            differences.add(f"{where}: contact {address} is missing")
            continue
        shown, expected = contacts.public(_decode(value)), contacts.public(contact)
        if shown != expected:
            differences.add(f"{where}: contact {address}: {_fields(shown, expected)}")
    for address in left:
        differences.add(f"{where}: contact {address} should not be there")


def kpis_of(reference: Reference, overdue: OverdueRows) -> dict[str, Counter[str]]:
    """Return the KPIs and the rows by status (`status_<name>`) of each delivery in one partition."""
    result = {}
    for delivery_id, delivery in reference.deliveries.items():
        counted = kpis.of_rows(_all_rows(reference, delivery_id, delivery, overdue))
        result[delivery_id] = counted + kpis.of_decisions(delivery)
    return result


def _all_rows(
    reference: Reference, delivery_id: str, delivery: ExpectedDelivery, overdue: OverdueRows
) -> Iterator[ExpectedRow]:
    """Yield the rows that count: those without delivery or recipient do not."""
    if not delivery_id:
        return
    for recipient, row in delivery.rows.items():
        if recipient:
            yield overdue.row(reference, delivery_id, recipient, row)
    for recipient, row in delivery.forgotten:
        if recipient:
            yield overdue.row(reference, delivery_id, recipient, row)


def compare_kpis(
    reference: Reference, overdue: OverdueRows, found: Mapping[str, bytes], differences: Differences
) -> None:
    """Compare the KPIs of one partition; `found` is by delivery."""
    left = dict(found)
    for delivery_id, counted in kpis_of(reference, overdue).items():
        where = f"partition {reference.partition}: KPIs of {delivery_id or '(no delivery)'}"
        value = left.pop(delivery_id, None)
        if value is None:
            differences.add(f"{where} are missing")
            continue
        shown = _decode(value)
        delivery = reference.deliveries[delivery_id]
        expected_statuses = {n.removeprefix("status_"): c for n, c in counted.items() if n.startswith("status_")}
        for what, ours, theirs in (
            ("KPIs", {name: counted[name] for name in kpis.NAMES}, shown["kpis"]),
            ("statuses", expected_statuses, shown["statuses"]),
            ("events", kpis.events(delivery), shown["events"]),
            ("started_at", delivery.started_at, shown["started_at"]),
            ("updated_at", delivery.updated_at, shown["updated_at"]),
        ):
            if ours != theirs:
                difference = _fields(theirs, ours) if isinstance(ours, dict) else f"{theirs!r} instead of {ours!r}"
                differences.add(f"{where}: {what}: {difference}")
        if sum(expected_statuses.values()) != shown["kpis"]["audience"]:
            differences.add(f"{where}: the statuses do not add up to the audience")
    for delivery_id in left:
        differences.add(f"partition {reference.partition}: KPIs of {delivery_id!r} should not be there")


def compare_redis(
    expected: Mapping[str, Counter[str]], found: Mapping[str, Mapping[str, str]], differences: Differences
) -> None:
    """Compare the live KPIs, both by delivery, without those that Redis has expired."""
    for delivery_id in expected.keys() | found.keys():
        where = f"Redis: {delivery_id or '(no delivery)'}"
        shown = {
            name: int(value)
            for name, value in found.get(delivery_id, {}).items()
            if name not in _NO_COUNTERS and not name.startswith("_p") and value != "0"
        }
        wanted = {name: count for name, count in expected.get(delivery_id, {}).items() if count}
        if delivery_id not in found:
            differences.add(f"{where} is missing")
        elif shown != wanted:
            differences.add(f"{where}: {_fields(shown, wanted)}")


def added_up(parts: Iterable[Mapping[str, Counter[str]]]) -> dict[str, Counter[str]]:
    """Return the KPIs by delivery, summed over the partitions."""
    result: dict[str, Counter[str]] = {}
    for part in parts:
        for delivery_id, counted in part.items():
            result.setdefault(delivery_id, Counter()).update(counted)
    return result


def _name(key: str) -> str:
    delivery_id, _, recipient = key.partition("\t")
    return f"{delivery_id or '(no delivery)'} / {recipient or '(no recipient)'}"


def _fields(shown: Mapping[str, Any], expected: Mapping[str, Any]) -> str:
    """Return the fields in which two objects differ."""
    parts = []
    for name in sorted(shown.keys() | expected.keys()):
        ours, theirs = expected.get(name), shown.get(name)
        if ours != theirs:
            parts.append(f"{name} is {_short(theirs)}, should be {_short(ours)}")
    return "; ".join(parts)


def _short(value: Any) -> str:
    if isinstance(value, set):
        value = sorted(value)
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
