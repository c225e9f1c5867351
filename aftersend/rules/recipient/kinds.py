"""Kinds of events as data, and what each does to a row (`docs/domain.md §1`, `docs/domain.md §2.1`).

A *kind* is an event's type, divided further where the rules differ: an open by a machine, a click on the unsubscribe
link, each reason for not sending. A kind's number is stored in rows and changelogs: it is assigned once and never
reused. To add a kind is to add a row to `KINDS`.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from aftersend.rules.recipient.facts import Fact
from aftersend.rules.recipient.statuses import NO_RANK, NOT_SENT, STATUS_RANK, UNKNOWN_STATUS
from aftersend.schemas.event import EVENT_TYPES, NOT_SENT_REASONS, FoldEvent


class EventKind(NamedTuple):
    """One kind of event and what it does to a row."""

    number: int
    name: str
    #: The status it sets if its rank is higher; 0: none, the event only adds facts.
    status: int
    facts: int
    #: Overrides the status's rank.
    rank: int | None = None


_D = Fact.DELIVERED

KINDS: Final = (
    EventKind(0, "tick", 0, 0),
    EventKind(1, "planned", 1, Fact.PLANNED),
    EventKind(2, "ready", 2, Fact.READY),
    EventKind(3, "sent", 3, Fact.SENT),
    EventKind(4, "deferred", 4, Fact.DEFERRED),
    EventKind(5, "soft_bounce", 5, Fact.SOFT_BOUNCED),
    EventKind(6, "delivered", 6, _D | Fact.CONFIRMED),
    EventKind(7, "opened_machine", 7, _D | Fact.OPENED_MACHINE),
    EventKind(8, "opened", 8, _D | Fact.OPENED),
    EventKind(9, "clicked", 9, _D | Fact.CLICKED),
    EventKind(10, "unsubscribed", 10, _D | Fact.UNSUBSCRIBED),
    EventKind(11, "complained", 11, _D | Fact.COMPLAINED),
    EventKind(12, "hard_bounce", 12, Fact.HARD_BOUNCED),
    EventKind(13, "rejected", 13, Fact.REJECTED),
    EventKind(14, "invalid_address", 14, Fact.INVALID_ADDRESS),
    EventKind(15, "failed", 15, Fact.FAILED),
    # The rank lies below `delivered`: an unknown event ends a wait for an outcome, but replaces no delivery.
    EventKind(16, "unknown", UNKNOWN_STATUS, Fact.UNKNOWN, rank=49),
    EventKind(17, "autoresponded", 0, Fact.AUTORESPONDED),
    EventKind(18, "resubscribed", 0, Fact.RESUBSCRIBED),
    # A scanner that follows every link implies delivery, as a proxy that loads the images does.
    EventKind(19, "clicked_machine", 7, _D | Fact.CLICKED_MACHINE),
    # A click on the unsubscribe link implies an open; it does not count as a click (`docs/domain.md §9`, case 3).
    EventKind(20, "clicked_unsubscribe_link", 8, _D | Fact.UNSUBSCRIBE_LINK),
    EventKind(21, "unsubscribed_one_click", 10, _D | Fact.UNSUBSCRIBED | Fact.ONE_CLICK),
    # Not an event from outside: the end of a row's response window, as the row's history records it.
    EventKind(22, "expired", 0, Fact.EXPIRED),
    # Changes the contact of an address, no row.
    EventKind(23, "released", 0, 0),
    # Changes a delivery's terms, which apply to its rows from then on.
    EventKind(24, "declared", 0, 0),
    # The MTA's own time for the message is over: no wait for an outcome is left.
    EventKind(25, "soft_bounce_exhausted", 5, Fact.SOFT_BOUNCED | Fact.RETRIES_EXHAUSTED),
    # An event of a name that its source's parser does not know: counted and kept, it changes nothing.
    EventKind(26, "unrecognised", 0, 0),
    # The extra copies of an address share the row of the first copy, whose status stays.
    EventKind(NOT_SENT, "not_sent_duplicate_address", 0, Fact.DUPLICATE_ADDRESS),
    *(
        EventKind(NOT_SENT + i, f"not_sent_{reason}", NOT_SENT + i, Fact.NOT_SENT)
        for i, reason in enumerate(NOT_SENT_REASONS)
        if reason != "duplicate_address"
    ),
)

TICK: Final = 0
PLANNED: Final = 1
READY: Final = 2
SENT: Final = 3
DEFERRED: Final = 4
SOFT_BOUNCE: Final = 5
DELIVERED: Final = 6
OPENED_MACHINE: Final = 7
OPENED: Final = 8
CLICKED: Final = 9
UNSUBSCRIBED: Final = 10
COMPLAINED: Final = 11
HARD_BOUNCE: Final = 12
REJECTED: Final = 13
INVALID_ADDRESS: Final = 14
FAILED: Final = 15
UNKNOWN: Final = 16
AUTORESPONDED: Final = 17
RESUBSCRIBED: Final = 18
CLICKED_MACHINE: Final = 19
CLICKED_UNSUBSCRIBE_LINK: Final = 20
UNSUBSCRIBED_ONE_CLICK: Final = 21
EXPIRED: Final = 22
RELEASED: Final = 23
DECLARED: Final = 24
SOFT_BOUNCE_EXHAUSTED: Final = 25
UNRECOGNISED: Final = 26
NOT_SENT_DUPLICATE_ADDRESS: Final = 32

_MAX_KIND: Final = 64
#: By kind number.
KIND_NAME: Final = [""] * _MAX_KIND
KIND_STATUS: Final = [0] * _MAX_KIND
KIND_RANK: Final = [NO_RANK] * _MAX_KIND
KIND_FACTS: Final = [0] * _MAX_KIND
for _kind in KINDS:
    KIND_NAME[_kind.number] = _kind.name
    KIND_STATUS[_kind.number] = _kind.status
    KIND_RANK[_kind.number] = STATUS_RANK[_kind.status] if _kind.rank is None else _kind.rank
    KIND_FACTS[_kind.number] = _kind.facts
#: By name. A type that `refine_kind` does not handle is the name of its kind.
KIND_NUMBER: Final = {kind.name: kind.number for kind in KINDS}

#: Types that do not determine the kind, or that concern no row. Negative numbers let the hot loop handle all of them in
#: one branch that common events skip.
_REFINED_TYPES: Final = {
    "opened": -1,
    "clicked": -2,
    "unsubscribed": -3,
    "not_sent": -4,
    "released": -5,
    "declared": -6,
    "soft_bounce": -7,
    "unknown": -8,
}
#: By `Feedback.type`: a kind's number, or a negative number for `refine_kind`.
KIND_OF_TYPE: Final[dict[str, int]] = {
    **{name: KIND_NUMBER[name] for name in EVENT_TYPES if name in KIND_NUMBER},
    **_REFINED_TYPES,
}


def refine_kind(first: int, event: FoldEvent) -> int:  # noqa: PLR0911 - one for each type; a table of functions is slower
    """Return the kind of an event whose type alone does not determine it.

    Args:
        first: the value of `KIND_OF_TYPE` for the event's type (negative).
        event: the event.
    """
    if first == _REFINED_TYPES["opened"]:
        return OPENED_MACHINE if event.machine else OPENED
    if first == _REFINED_TYPES["clicked"]:
        if event.machine:
            return CLICKED_MACHINE  # scanners follow the unsubscribe link too
        return CLICKED_UNSUBSCRIBE_LINK if event.unsubscribe_link else CLICKED
    if first == _REFINED_TYPES["unsubscribed"]:
        return UNSUBSCRIBED_ONE_CLICK if event.one_click else UNSUBSCRIBED
    if first == _REFINED_TYPES["soft_bounce"]:
        return SOFT_BOUNCE_EXHAUSTED if event.exhausted else SOFT_BOUNCE
    if first == _REFINED_TYPES["unknown"]:
        return UNRECOGNISED if event.detail else UNKNOWN
    # An unknown reason for not sending stays readable in the row's failure; the recipient was not sent to all the same.
    name = f"not_sent_{event.reason}" if first == _REFINED_TYPES["not_sent"] else event.type
    return KIND_NUMBER.get(name, KIND_NUMBER["not_sent_stopped"])


def kind_of(event: FoldEvent) -> int:
    """Return the number of an event's kind; a type of another name is not recognised."""
    kind = KIND_OF_TYPE.get(event.type, UNRECOGNISED)
    return kind if kind >= 0 else refine_kind(kind, event)
