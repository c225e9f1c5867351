"""Statuses, kinds of events, facts and KPIs by name, written from `docs/domain.md §2` and `docs/domain.md §4`."""

from __future__ import annotations

from typing import Final, NamedTuple

from aftersend.schemas.event import EVENT_TYPES, NOT_SENT_REASONS, FoldEvent

#: A status replaces one of lower rank; any other status is terminal and ranks above all of these.
RANKS: Final = {
    "none": -1,
    "planned": 0,
    "ready": 10,
    "sent": 20,
    "deferred": 30,
    "soft_bounce": 40,
    "delivered": 50,
    "opened_machine": 55,
    "opened": 60,
    "clicked": 70,
    "unsubscribed": 90,
    "complained": 95,
}
TERMINAL_RANK: Final = 1000
TERMINAL_OF_RANK: Final = {"unsubscribed", "complained"}

#: Status of a waiting row after its wait; final then.
EXPIRES_TO: Final = {
    "planned": "not_sent_expired",
    "ready": "not_sent_expired",
    "sent": "unknown",
    "deferred": "soft_bounce",
}
#: A row with this status keeps it after its response window, not final, and gets the fact `given_up`.
GIVEN_UP_AS: Final = "soft_bounce"
#: Statuses (if not final) that wait for an outcome, and kinds that start a wait.
PENDING: Final = {"sent", "deferred", "soft_bounce"}
#: Statuses that wait to be sent to, where a validity is declared, and kinds that start that wait.
PLANS: Final = {"planned", "ready"}
STARTS_WAIT: Final = {*PENDING, "soft_bounce_exhausted"}
#: Facts after which there is nothing to wait for: given up by our clock, or by the MTA's own.
NO_WAIT: Final = {"given_up", "retries_exhausted"}

#: An event of unknown type ends a wait for an outcome, but replaces no delivery; its status is terminal all the same.
RANK_OF_KIND: Final = {"unknown": 49}
#: Kinds with another name than their status; "": no status.
STATUS_OF_KIND: Final = {
    "soft_bounce_exhausted": "soft_bounce",
    "clicked_machine": "opened_machine",
    "clicked_unsubscribe_link": "opened",
    "unsubscribed_one_click": "unsubscribed",
    "autoresponded": "",
    "resubscribed": "",
    "unrecognised": "",
    # The extra copies of an address share the row of the first copy, whose status stays.
    "not_sent_duplicate_address": "",
}

IMPLY_DELIVERED: Final = {
    "delivered",
    "opened_machine",
    "opened",
    "clicked",
    "clicked_machine",
    "clicked_unsubscribe_link",
    "unsubscribed",
    "unsubscribed_one_click",
    "complained",
}
#: Kinds with another name than their facts.
_FACTS_OF_KIND: Final = {
    "delivered": {"confirmed"},
    "soft_bounce": {"soft_bounced"},
    "soft_bounce_exhausted": {"soft_bounced", "retries_exhausted"},
    "hard_bounce": {"hard_bounced"},
    "clicked_unsubscribe_link": {"unsubscribe_link"},
    "not_sent_duplicate_address": {"duplicate_address"},
    "unsubscribed_one_click": {"unsubscribed", "one_click"},
    "unrecognised": set(),
}

FAILURES: Final = {
    *("deferred", "soft_bounce", "soft_bounce_exhausted", "hard_bounce", "rejected", "invalid_address", "failed"),
    "unknown",
}
#: By kind: the time of the row that keeps the earliest.
FIRST_TIME: Final = {
    "sent": "sent_at",
    "delivered": "delivered_at",
    "opened": "opened_at",
    "clicked": "clicked_at",
    "unsubscribed": "unsubscribed_at",
    "unsubscribed_one_click": "unsubscribed_at",
    "complained": "complained_at",
}
LAST_TIME: Final = {"opened": "last_opened_at", "clicked": "last_clicked_at"}
TALLY: Final = {
    "opened": "opens",
    "opened_machine": "machine_opens",
    "clicked": "clicks",
    "clicked_machine": "machine_clicks",
}

DECISIONS: Final = (
    "applied",
    "duplicate",
    "lower_priority",
    "terminal_locked",
    "late",
    "test",
    "unattributed",
)
#: Decisions on events that count in totals.
COUNTED: Final = {"applied", "lower_priority", "terminal_locked"}


#: By type: the mark of an event that makes it another kind, and that kind.
_FLAGGED: Final = {
    "opened": ("machine", "opened_machine"),
    "unsubscribed": ("one_click", "unsubscribed_one_click"),
    "soft_bounce": ("exhausted", "soft_bounce_exhausted"),
}


def kind_of(event: FoldEvent) -> str:
    """Return the kind of an event: its type, divided further where the rules differ."""
    kind = event.type
    flag, flagged = _FLAGGED.get(kind, ("", ""))
    if flag:
        return flagged if getattr(event, flag) else kind
    if kind == "clicked":
        if event.machine:
            return "clicked_machine"
        return "clicked_unsubscribe_link" if event.unsubscribe_link else "clicked"
    if kind == "not_sent":
        return f"not_sent_{event.reason if event.reason in NOT_SENT_REASONS else 'stopped'}"
    return "unrecognised" if kind not in EVENT_TYPES or (kind == "unknown" and event.detail) else kind


def facts_of(kind: str) -> set[str]:
    """Return the facts that an event of a kind adds to its row."""
    own = _FACTS_OF_KIND.get(kind, {"not_sent"} if kind.startswith("not_sent_") else {kind})
    return own | {"delivered"} if kind in IMPLY_DELIVERED else own


def rank_of(status: str) -> int:
    """Return the rank of a status."""
    return RANKS.get(status, TERMINAL_RANK)


def is_terminal(status: str) -> bool:
    """Return whether a status is terminal."""
    return status in TERMINAL_OF_RANK or status not in RANKS


class RowKpi(NamedTuple):
    """A number of recipients: rows with any of some facts and none of others."""

    name: str
    any_of: frozenset[str]
    none_of: frozenset[str] = frozenset()


def _kpi(name: str, *any_of: str, none_of: tuple[str, ...] = ()) -> RowKpi:
    return RowKpi(name, frozenset(any_of), frozenset(none_of))


ROW_KPIS: Final = (
    # Only what was handed over can be deferred, delivered, refused, bounced or answered, or wait in vain.
    _kpi(
        "sent",
        *("sent", "deferred", "soft_bounced", "delivered", "hard_bounced", "rejected", "invalid_address", "failed"),
        *("unknown", "expired", "autoresponded"),
    ),
    _kpi("delivered", "delivered"),
    _kpi("deferred", "deferred"),
    _kpi("soft_bounced", "soft_bounced"),
    _kpi("hard_bounced", "hard_bounced"),
    _kpi("bounced_after_delivery", "bounced_after_delivery"),
    _kpi("rejected", "rejected"),
    _kpi("invalid_address", "invalid_address"),
    _kpi("failed", "failed"),
    _kpi("expired", "expired"),
    _kpi("not_sent", "not_sent", "validity_over"),
    _kpi("duplicate_address", "duplicate_address"),
    _kpi("unknown", "unknown"),
    _kpi("unique_opens", "opened", "clicked", "unsubscribe_link"),
    _kpi("unique_human_opens", "opened"),
    _kpi("unique_machine_opens", "opened_machine"),
    _kpi("unique_machine_opens_only", "opened_machine", none_of=("opened", "clicked", "unsubscribe_link")),
    _kpi("unique_clicks", "clicked"),
    _kpi("unique_machine_clicks", "clicked_machine"),
    _kpi("unsubscribed", "unsubscribed"),
    _kpi("unsubscribed_one_click", "one_click"),
    _kpi("complained", "complained"),
    _kpi("autoresponded", "autoresponded"),
)

#: Totals: every event of a kind that counts.
TOTAL_KPIS: Final = {
    "total_opens": "opened",
    "total_machine_opens": "opened_machine",
    "total_clicks": "clicked",
    "total_machine_clicks": "clicked_machine",
    "total_unsubscribe_link_clicks": "clicked_unsubscribe_link",
}
