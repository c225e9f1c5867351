"""Rows as they should be, and what one event changes in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from aftersend.sandbox.reference import domain
from aftersend.schemas.event import MESSAGE_TYPES, FoldEvent

#: Number of events whose ids a row remembers (`docs/domain.md §2.5`), an expiry included.
REMEMBERED: Final = 33
#: Characters of a diagnostic text that a row keeps.
MAX_DIAGNOSTIC: Final = 250


@dataclass(slots=True)
class ExpectedRow:
    """One recipient of one delivery."""

    status: str = "none"
    final: bool = False
    previous: str = ""
    version: int = 0
    facts: set[str] = field(default_factory=set)
    source: str = ""
    message_type: str = ""
    updated_at: float = 0.0
    #: While the row waits for an outcome, or if it has expired: first arrival of `sent`, `deferred` or `soft_bounce`.
    pending_since: float | None = None
    #: When the delivery freezes.
    freeze_at: float = 0.0
    #: `sent_at`, `delivered_at`, …
    times: dict[str, float] = field(default_factory=dict)
    #: `opens`, `clicks`, …
    tallies: dict[str, int] = field(default_factory=dict)
    #: Time, SMTP code, enhanced code, reason, diagnostic text: the greatest stays.
    failure: tuple[float, int, str, str, str] | None = None
    address: str = ""
    cause: dict[str, Any] = field(default_factory=dict)
    #: Ids of the last events, oldest first; None: an expiry.
    remembered: list[str | None] = field(default_factory=list)

    def waits(self) -> bool:
        """Return whether the row waits for an outcome, in time or not."""
        return self.status in domain.PENDING and not self.final

    def public(self, delivery_id: str, recipient: str) -> dict[str, Any]:
        """Return the row as the status topic shows it; the facts as a set."""
        failure = None
        if self.failure is not None:
            at, code, enhanced_code, reason, diagnostic = self.failure
            failure = {"at": at} | _without_defaults(
                {"reason": reason, "code": code, "enhanced_code": enhanced_code, "diagnostic": diagnostic}
            )
        fixed: dict[str, Any] = {"schema": 1, "delivery_id": delivery_id, "recipient": recipient}
        fixed |= {"status": self.status, "updated_at": self.updated_at}
        rest = {
            "previous": self.previous,
            "version": self.version,
            "source": self.source,
            "message_type": self.message_type,
            **self.tallies,
            "failure": failure,
            "address": self.address,
            "cause": _without_defaults(self.cause),
            "final": self.final,
        }
        times = self.times if self.pending_since is None else {"pending_since": self.pending_since, **self.times}
        return fixed | _without_defaults(rest) | times | {"facts": self.facts}


def _without_defaults(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value}


def remember(row: ExpectedRow, event_id: str | None) -> None:
    """Add an event id to those that the row remembers, in place; None: an expiry."""
    row.remembered.append(event_id)
    if len(row.remembered) > REMEMBERED:
        del row.remembered[0]


def change_row(row: ExpectedRow, event: FoldEvent, kind: str, now: float) -> str:
    """Fold an event that is new to the row, in place; return the decision."""
    happened_at = event.occurred_at or now
    decision = _change_status(row, event, kind)
    new_facts = domain.facts_of(kind)
    if kind == "hard_bounce" and "delivered" in row.facts:
        row.facts.add("bounced_after_delivery")
    row.facts |= new_facts
    if event.test or "test" in row.facts:
        row.facts.add("test")
        decision = "test"

    if decision in {"applied", "test"} and not row.waits() and "expired" not in row.facts:
        row.pending_since = None
    elif row.waits() and kind in domain.STARTS_WAIT and (row.pending_since is None or now < row.pending_since):
        row.pending_since = now
    first, last, tally = domain.FIRST_TIME.get(kind), domain.LAST_TIME.get(kind), domain.TALLY.get(kind)
    if first is not None:
        row.times[first] = min(happened_at, row.times.get(first, happened_at))
    if last is not None:
        row.times[last] = max(happened_at, row.times.get(last, happened_at))
    if tally is not None:
        row.tallies[tally] = row.tallies.get(tally, 0) + 1
    if kind in domain.FAILURES or (kind.startswith("not_sent_") and kind != "not_sent_duplicate_address"):
        diagnostic = event.diagnostic[:MAX_DIAGNOSTIC]
        failure = (happened_at, event.code, event.enhanced_code, event.reason, diagnostic)
        row.failure = failure if row.failure is None else max(failure, row.failure)

    row.version += 1
    row.updated_at = now
    if not row.message_type and event.message_type in MESSAGE_TYPES:
        row.message_type = event.message_type
    row.address = row.address or event.address
    remember(row, event.event_id)
    return decision


def _change_status(row: ExpectedRow, event: FoldEvent, kind: str) -> str:
    if not (event.recipient and event.delivery_id):
        return "unattributed"
    if row.final:
        return "terminal_locked"
    status = domain.STATUS_OF_KIND.get(kind, kind)
    rank = domain.RANK_OF_KIND.get(kind, domain.rank_of(status))
    if not status or rank <= domain.rank_of(row.status):
        return "lower_priority"
    row.previous = "" if row.status == "none" else row.status
    row.status = status
    row.final = domain.is_terminal(status)
    return "applied"
