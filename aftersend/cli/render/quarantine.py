"""Addresses with errors as tables."""

from __future__ import annotations

from aftersend.cli.render.output import LineTable, count, local, table
from aftersend.services.quarantine.addresses import QuarantineEntry, by_error, error_text


def address_list(entries: list[QuarantineEntry]) -> LineTable:
    """Return a table of addresses."""
    result = table("", "since", "address", "errors", "error", "delivery", right=("errors",))
    for entry in entries:
        contact = entry.contact
        result.add_row(
            local(entry.status.since),
            contact.address or contact.recipient,
            str(contact.errors or ""),
            error_text(contact) or entry.status.why,
            contact.error.delivery_id if contact.error is not None else contact.cause_delivery_id,
        )
    return result


def error_counts(entries: list[QuarantineEntry], limit: int) -> tuple[LineTable, int]:
    """Return a table of the most frequent pairs of domain and error, and the number of other pairs.

    Args:
        entries: addresses to count.
        limit: rows of the table at most.
    """
    counts = by_error(entries)
    result = table("", "addresses", "domain", "error", right=("addresses",))
    for (domain, error), number in counts.most_common(limit):
        result.add_row(count(number), domain, error)
    return result, max(0, len(counts) - limit)
