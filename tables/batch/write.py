"""What a batch writes: changelog records, and the same things as the store will hold them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from math import inf
from typing import Any, Final

from aftersend.rules.kpi.indicators import merged
from aftersend.rules.recipient.fold import expires_at
from aftersend.rules.recipient.history import ENTRY_BYTES, ID_BYTES
from aftersend.rules.recipient.lifecycle import STATUS_WAITS, Fact
from aftersend.schemas.contact import Contact
from aftersend.schemas.kpi import KpiPartial
from aftersend.tables.codec import HEADER, SEPARATOR, Codec, encode_json, encode_row, pack_contact
from aftersend.tables.delivery import NO_BUCKET, OpenDelivery
from aftersend.tables.stores.base import Changes

_FACT_TEST: Final = Fact.TEST

#: Takes key, value, timestamp in milliseconds and headers of a record (`aftersend.engine.transaction.Channel.append`).
Append = Callable[..., Any]


def write_rows(delivery: OpenDelivery, codec: Codec, append: Append, changes: Changes) -> tuple[dict[int, int], float]:
    """Write the rows that a batch has touched.

    Args:
        delivery: whose rows.
        codec: how they are written.
        append: takes records for the status topic.
        changes: take the rows as the store holds them.

    Returns:
        How many rows each KPI class has won or lost, and when the first of the rows expires, seconds since 1970.
    """
    encode_state = codec.state
    delivery_id = delivery.id
    prefix = f"{delivery_id}{SEPARATOR}"
    attributed = bool(delivery_id)
    windows = delivery.windows
    cells: dict[int, int] = {}
    cells_get = cells.get
    first_due = inf
    rows: dict[str, bytes | None] = {}
    for (recipient, row), before in zip(delivery.live.items(), delivery.before, strict=True):
        facts, status = row.facts, row.status
        after = NO_BUCKET if facts & _FACT_TEST else facts << 8 | status
        if after != before and attributed and recipient:
            cells[after] = cells_get(after, 0) + 1
            cells[before] = cells_get(before, 0) - 1
        if STATUS_WAITS[status]:
            row_due = expires_at(row, windows[row.source])
            if row_due is not None and row_due < first_due:
                first_due = row_due
        history = row.history
        state = encode_state(delivery_id, recipient, row)
        if row.cause and row.cause == history[-ENTRY_BYTES : ID_BYTES - ENTRY_BYTES].hex():
            row.cause = ""  # the history says it
        packed = rows[recipient] = encode_row(row)
        append(
            (prefix + recipient).encode(),
            state,
            int(row.updated_at * 1000),
            [(HEADER, packed)],
        )
    cells.pop(NO_BUCKET, None)
    for recipient in delivery.forgotten:
        rows[recipient] = None
        append((prefix + recipient).encode(), None, int(delivery.last_at * 1000))
    if rows:
        changes.rows[delivery_id] = rows
    return cells, first_due


def write_contacts(contacts: Mapping[str, Contact], append: Append, changes: Changes) -> None:
    """Write the contacts that a batch has changed, by recipient."""
    for recipient, contact in contacts.items():
        changes.contacts[recipient] = pack_contact(contact)
        append(recipient.encode(), encode_json(contact), int(contact.updated_at * 1000))


def count_keys(keys: list[int]) -> dict[int, int]:
    """Return how often each key comes."""
    return dict(Counter(keys))  # which counts in C


def advance_partial(delivery: OpenDelivery, cells: dict[int, int], events: dict[int, int]) -> KpiPartial | None:
    """Return a delivery's KPIs after the batch; the same object as before if nothing changed."""
    old = delivery.partial
    if not cells and not events and (old is None or delivery.archived == old.archived):
        return old
    if old is None:
        old = KpiPartial()
    return KpiPartial(
        merged(old.cells, cells),
        merged(old.events, events),
        delivery.started_at,
        delivery.last_at,
        old.version + 1,
        delivery.archived,
    )
