"""Statuses, facts and kinds of events as data (`docs/domain.md §1.1`, `docs/domain.md §2`).

A *status* is what a recipient's row shows: one at a time, by rank. A *fact* is something that ever happened to the
row: facts only accumulate, and KPIs are counted from them. A *kind* is an event's type, told apart further where the
rules differ (an open by a machine, a click on the unsubscribe link, each reason for not sending).

The numbers of statuses, facts, kinds and decisions are stored in rows and changelogs: they are given once and never
given again. To add a status is to add a row to `STATUSES`; to add a kind is to add a row to `KINDS`.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from aftersend.schemas.event import EVENT_TYPES, NOT_SENT_REASONS, FoldEvent

TERMINAL_RANK: Final = 1000
NO_RANK: Final = -1


class RowStatus(NamedTuple):
    """One status of the lifecycle table."""

    number: int
    name: str
    #: A newcomer replaces a status of strictly lower rank.
    rank: int
    #: Never replaced.
    terminal: bool = False


class Fact:
    """Bits of `Row.facts`."""

    PLANNED: Final = 1 << 0
    READY: Final = 1 << 1
    SENT: Final = 1 << 2
    DEFERRED: Final = 1 << 3
    SOFT_BOUNCED: Final = 1 << 4
    #: Reached the mailbox, whether said so or implied by an open, a click, …
    DELIVERED: Final = 1 << 5
    #: An explicit `delivered` came.
    CONFIRMED: Final = 1 << 6
    HARD_BOUNCED: Final = 1 << 7
    REJECTED: Final = 1 << 8
    INVALID_ADDRESS: Final = 1 << 9
    FAILED: Final = 1 << 10
    OPENED_MACHINE: Final = 1 << 11
    OPENED: Final = 1 << 12
    CLICKED: Final = 1 << 13
    CLICKED_MACHINE: Final = 1 << 14
    UNSUBSCRIBE_LINK: Final = 1 << 15
    UNSUBSCRIBED: Final = 1 << 16
    ONE_CLICK: Final = 1 << 17
    COMPLAINED: Final = 1 << 18
    AUTORESPONDED: Final = 1 << 19
    NOT_SENT: Final = 1 << 20
    UNKNOWN: Final = 1 << 21
    #: No outcome within the source's window.
    EXPIRED: Final = 1 << 22
    BOUNCED_AFTER_DELIVERY: Final = 1 << 23
    TEST: Final = 1 << 24
    RESUBSCRIBED: Final = 1 << 25
    #: The audience held the address more than once; the extra copies were left out.
    DUPLICATE_ADDRESS: Final = 1 << 26
    #: A soft bounce was the last word when the source's window was over; a success may come all the same.
    GIVEN_UP: Final = 1 << 27


#: Names of the facts, lowest bit first.
FACT_NAMES: Final = tuple(
    name.lower()
    for name, _ in sorted(((k, v) for k, v in vars(Fact).items() if isinstance(v, int)), key=lambda pair: pair[1])
)

#: Statuses and kinds from this number on are the reasons for not sending.
NOT_SENT: Final = 32
#: The final form of `soft_bounce`: given up, or no outcome within the window.
SOFT_BOUNCE_FINAL: Final = 17
UNKNOWN_STATUS: Final = 16

STATUSES: Final = (
    RowStatus(0, "none", NO_RANK),
    RowStatus(1, "planned", 0),
    RowStatus(2, "ready", 10),
    RowStatus(3, "sent", 20),
    RowStatus(4, "deferred", 30),
    RowStatus(5, "soft_bounce", 40),
    RowStatus(6, "delivered", 50),
    RowStatus(7, "opened_machine", 55),
    RowStatus(8, "opened", 60),
    RowStatus(9, "clicked", 70),
    RowStatus(10, "unsubscribed", 90, terminal=True),
    RowStatus(11, "complained", 95, terminal=True),
    RowStatus(12, "hard_bounce", TERMINAL_RANK, terminal=True),
    RowStatus(13, "rejected", TERMINAL_RANK, terminal=True),
    RowStatus(14, "invalid_address", TERMINAL_RANK, terminal=True),
    RowStatus(15, "failed", TERMINAL_RANK, terminal=True),
    RowStatus(UNKNOWN_STATUS, "unknown", TERMINAL_RANK, terminal=True),
    RowStatus(SOFT_BOUNCE_FINAL, "soft_bounce", TERMINAL_RANK, terminal=True),
    *(
        RowStatus(NOT_SENT + i, f"not_sent_{reason}", TERMINAL_RANK, terminal=True)
        for i, reason in enumerate(NOT_SENT_REASONS)
    ),
)

_MAX_STATUS: Final = 64
#: By status number, for the fold.
STATUS_NAME: Final = [""] * _MAX_STATUS
STATUS_RANK: Final = [NO_RANK] * _MAX_STATUS
STATUS_TERMINAL: Final = [False] * _MAX_STATUS
for _status in STATUSES:
    STATUS_NAME[_status.number] = _status.name
    STATUS_RANK[_status.number] = _status.rank
    STATUS_TERMINAL[_status.number] = _status.terminal
#: By (name, terminal): what a public row's `status` and `final` say.
STATUS_NUMBER: Final = {(s.name, s.terminal): s.number for s in STATUSES}
#: Every name that a row's status may show, in the order of their ranks.
STATUS_NAMES: Final = tuple(dict.fromkeys(s.name for s in STATUSES if s.number))

#: Statuses that wait for an outcome, and what each becomes when the window has passed without one: a soft bounce stays
#: what it is, not final, and gets the fact `given_up` instead of `expired`.
EXPIRES_TO: Final = {3: UNKNOWN_STATUS, 4: SOFT_BOUNCE_FINAL, 5: 5}
#: By status number, for the fold: whether it waits for an outcome.
STATUS_WAITS: Final = [number in EXPIRES_TO for number in range(_MAX_STATUS)]
#: Statuses that an expiry gives; other events give some of them as well, but then none of these facts.
EXPIRED_STATUSES: Final = frozenset(EXPIRES_TO.values())


class EventKind(NamedTuple):
    """One kind of event and what it does to a row."""

    number: int
    name: str
    #: The status it strives for; 0: none, it only leaves facts.
    status: int
    facts: int
    #: Of the status, if not that one's own.
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
    # What nobody understands must not undo what is known: it ends a wait for an outcome, but replaces no delivery.
    EventKind(16, "unknown", UNKNOWN_STATUS, Fact.UNKNOWN, rank=49),
    EventKind(17, "autoresponded", 0, Fact.AUTORESPONDED),
    EventKind(18, "resubscribed", 0, Fact.RESUBSCRIBED),
    # A scanner that follows every link has reached the mailbox, like a proxy that loads the images.
    EventKind(19, "clicked_machine", 7, _D | Fact.CLICKED_MACHINE),
    # Whoever follows the unsubscribe link has opened the message; that click is no click (`docs/domain.md §9`, case 3).
    EventKind(20, "clicked_unsubscribe_link", 8, _D | Fact.UNSUBSCRIBE_LINK),
    EventKind(21, "unsubscribed_one_click", 10, _D | Fact.UNSUBSCRIBED | Fact.ONE_CLICK),
    # Not an event that anyone sends: the end of a row's window, as the row's history shows it.
    EventKind(22, "expired", 0, Fact.EXPIRED),
    # An operator's word about an address: no row hears of it, only the contact.
    EventKind(23, "released", 0, 0),
    # A sender's word about a delivery: what its rows go by from now on.
    EventKind(24, "declared", 0, 0),
    # The extra copies of an address share its row, which goes on as the first copy's.
    EventKind(NOT_SENT, "not_sent_duplicate_address", 0, Fact.DUPLICATE_ADDRESS),
    *(
        EventKind(NOT_SENT + i, f"not_sent_{reason}", NOT_SENT + i, Fact.NOT_SENT)
        for i, reason in enumerate(NOT_SENT_REASONS)
        if reason != "duplicate_address"
    ),
)

TICK: Final = 0
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
NOT_SENT_DUPLICATE_ADDRESS: Final = 32

_MAX_KIND: Final = 64
#: By kind number, for the fold.
KIND_NAME: Final = [""] * _MAX_KIND
KIND_STATUS: Final = [0] * _MAX_KIND
KIND_RANK: Final = [NO_RANK] * _MAX_KIND
KIND_FACTS: Final = [0] * _MAX_KIND
for _kind in KINDS:
    KIND_NAME[_kind.number] = _kind.name
    KIND_STATUS[_kind.number] = _kind.status
    KIND_RANK[_kind.number] = STATUS_RANK[_kind.status] if _kind.rank is None else _kind.rank
    KIND_FACTS[_kind.number] = _kind.facts
#: Kinds by name; every event type that needs no second look is its kind's name.
KIND_NUMBER: Final = {kind.name: kind.number for kind in KINDS}

#: Types of events that `kind_of` has to look at twice; the number is negative.
#: Or that concern no row and so have to be looked for: here, where the common events do not pass.
_REFINED_TYPES: Final = {
    "opened": -1,
    "clicked": -2,
    "unsubscribed": -3,
    "not_sent": -4,
    "released": -5,
    "declared": -6,
}
#: By `Feedback.type`: a kind's number, or a negative one that `refine_kind` resolves.
KIND_OF_TYPE: Final[dict[str, int]] = {
    **{name: KIND_NUMBER[name] for name in EVENT_TYPES if name in KIND_NUMBER},
    **_REFINED_TYPES,
}


def refine_kind(first: int, event: FoldEvent) -> int:
    """Return the kind of an event whose type alone does not tell it.

    Args:
        first: what `KIND_OF_TYPE` says of the event's type (negative).
        event: the event.
    """
    if first == _REFINED_TYPES["opened"]:
        return OPENED_MACHINE if event.machine else OPENED
    if first == _REFINED_TYPES["clicked"]:
        if event.machine:
            return CLICKED_MACHINE  # scanners follow every link, that one too
        return CLICKED_UNSUBSCRIBE_LINK if event.unsubscribe_link else CLICKED
    if first == _REFINED_TYPES["unsubscribed"]:
        return UNSUBSCRIBED_ONE_CLICK if event.one_click else UNSUBSCRIBED
    # A reason for not sending of no name we know is kept on the row; the recipient was not sent to all the same.
    name = f"not_sent_{event.reason}" if first == _REFINED_TYPES["not_sent"] else event.type
    return KIND_NUMBER.get(name, KIND_NUMBER["not_sent_stopped"])


def kind_of(event: FoldEvent) -> int:
    """Return the number of an event's kind; a type that is not known counts as `unknown`."""
    kind = KIND_OF_TYPE.get(event.type, UNKNOWN)
    return kind if kind >= 0 else refine_kind(kind, event)


class Decision:
    """What the fold did with an event: exactly one of these for each (`docs/domain.md §2.2`)."""

    APPLIED: Final = 0
    DUPLICATE: Final = 1
    LOWER_PRIORITY: Final = 2
    TERMINAL_LOCKED: Final = 3
    LATE: Final = 4
    TEST: Final = 5
    UNATTRIBUTED: Final = 6


#: Names of the decisions, by number.
DECISION_NAMES: Final = (
    "applied",
    "duplicate",
    "lower_priority",
    "terminal_locked",
    "late",
    "test",
    "unattributed",
)
#: Decisions after which an event's facts and tallies count in the delivery's KPIs.
COUNTED: Final = frozenset({Decision.APPLIED, Decision.LOWER_PRIORITY, Decision.TERMINAL_LOCKED})


def names_of_facts(facts: int) -> list[str]:
    """Return the names of the facts whose bits are set, lowest bit first."""
    return [name for bit, name in enumerate(FACT_NAMES) if facts >> bit & 1]


def facts_of_names(names: list[str]) -> int:
    """Return the bits of named facts.

    Raises:
        ValueError: if a name is none of `FACT_NAMES`.
    """
    return sum(1 << FACT_NAMES.index(name) for name in names)
