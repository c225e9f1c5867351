"""The lifecycle as data: the table of `docs/domain.md §2.1`, and numbers that may never change."""

from typing import Any

import pytest

from aftersend.rules.recipient.decisions import COUNTED, DECISION_NAMES, Decision
from aftersend.rules.recipient.facts import FACT_NAMES, Fact, facts_of_names, names_of_facts
from aftersend.rules.recipient.kinds import (
    KIND_FACTS,
    KIND_NAME,
    KIND_NUMBER,
    KIND_RANK,
    KIND_STATUS,
    KINDS,
    NOT_SENT_DUPLICATE_ADDRESS,
    UNKNOWN,
    kind_of,
)
from aftersend.rules.recipient.statuses import (
    EXPIRES_TO,
    STATUS_NAME,
    STATUS_NAMES,
    STATUS_NUMBER,
    STATUS_RANK,
    STATUS_TERMINAL,
    STATUSES,
)
from aftersend.schemas.event import EVENT_TYPES, NOT_SENT_REASONS, FoldEvent

#: Rank, terminal, delivered: the table of `docs/domain.md §2.1`.
TABLE = {
    "planned": (0, False, False),
    "ready": (10, False, False),
    "sent": (20, False, False),
    "deferred": (30, False, False),
    "soft_bounce": (40, False, False),
    "delivered": (50, False, True),
    "opened_machine": (55, False, True),
    "opened": (60, False, True),
    "clicked": (70, False, True),
    "unsubscribed": (90, True, True),
    "complained": (95, True, True),
}
TERMINAL = ("hard_bounce", "rejected", "invalid_address", "failed", "unknown")


@pytest.mark.parametrize("name", TABLE)
def test_ranks_and_terminal_marks(name: str) -> None:
    rank, terminal, delivered = TABLE[name]
    number = STATUS_NUMBER[name, terminal]

    assert (rank, terminal) == (STATUS_RANK[number], STATUS_TERMINAL[number])
    assert number == KIND_STATUS[KIND_NUMBER[name]]
    assert delivered == bool(KIND_FACTS[KIND_NUMBER[name]] & Fact.DELIVERED)


@pytest.mark.parametrize("name", [*TERMINAL, *(f"not_sent_{reason}" for reason in NOT_SENT_REASONS)])
def test_every_failure_and_every_reason_for_not_sending_is_terminal(name: str) -> None:
    number = STATUS_NUMBER[name, True]

    assert STATUS_TERMINAL[number]
    assert STATUS_RANK[number] > STATUS_RANK[STATUS_NUMBER["complained", True]]
    assert (0 if name == "not_sent_duplicate_address" else number) == KIND_STATUS[KIND_NUMBER[name]]
    assert not KIND_FACTS[KIND_NUMBER[name]] & Fact.DELIVERED


def test_an_extra_copy_of_an_address_strives_for_no_status() -> None:
    """It shares the first copy's row."""
    assert 0 == KIND_STATUS[NOT_SENT_DUPLICATE_ADDRESS]
    assert Fact.DUPLICATE_ADDRESS == KIND_FACTS[NOT_SENT_DUPLICATE_ADDRESS]
    assert "not_sent_duplicate_address" == KIND_NAME[NOT_SENT_DUPLICATE_ADDRESS]


def test_what_waits_for_an_outcome_becomes_final() -> None:
    """`sent` without an outcome is unknown; a temporary failure without one is a soft bounce for good.

    One that was given up is a soft bounce already; a fact tells that the window is over (see `fold`).
    """
    expired = {
        STATUS_NAME[before]: (STATUS_NAME[after], STATUS_TERMINAL[after]) for before, after in EXPIRES_TO.items()
    }

    assert {
        "planned": ("not_sent_expired", True),
        "ready": ("not_sent_expired", True),
        "sent": ("unknown", True),
        "deferred": ("soft_bounce", True),
        "soft_bounce": ("soft_bounce", False),
    } == expired


def test_names_of_statuses_come_in_the_order_of_their_ranks() -> None:
    assert [*TABLE, "hard_bounce", "rejected", "invalid_address", "failed", "unknown"] == list(STATUS_NAMES[:16])


def kind(**fields: Any) -> str:
    return KIND_NAME[kind_of(FoldEvent("", "d", "r", **fields))]


KINDS_OF_EVENTS = [
    *(({"type": t}, t) for t in EVENT_TYPES if t != "not_sent"),
    ({"type": "opened", "machine": True}, "opened_machine"),
    ({"type": "clicked", "machine": True}, "clicked_machine"),
    ({"type": "clicked", "unsubscribe_link": True}, "clicked_unsubscribe_link"),
    ({"type": "clicked", "unsubscribe_link": True, "machine": True}, "clicked_machine"),
    ({"type": "unsubscribed", "one_click": True}, "unsubscribed_one_click"),
    *(({"type": "not_sent", "reason": r}, f"not_sent_{r}") for r in NOT_SENT_REASONS),
    ({"type": "not_sent", "reason": "of a name we do not know"}, "not_sent_stopped"),
    ({"type": "delivered", "machine": True, "one_click": True, "unsubscribe_link": True}, "delivered"),
    ({"type": "of a name we do not know"}, "unrecognised"),
    ({"type": "unknown", "detail": "new_event"}, "unrecognised"),
    ({"type": "unknown"}, "unknown"),
    ({"type": ""}, "unrecognised"),
    ({"type": "expired"}, "unrecognised"),
]


@pytest.mark.parametrize("fields, expected", KINDS_OF_EVENTS)
def test_kinds_of_events(fields: dict[str, Any], expected: str) -> None:
    assert expected == kind(**fields)


def test_facts_have_names_and_names_have_facts() -> None:
    for fact in (0, 1, 0b1011, (1 << len(FACT_NAMES)) - 1):
        assert fact == facts_of_names(names_of_facts(fact))
    assert ["planned", "sent"] == names_of_facts(Fact.PLANNED | Fact.SENT)
    with pytest.raises(ValueError, match="not in"):
        facts_of_names(["flown"])


def test_what_fits_where() -> None:
    """Numbers of kinds and decisions are packed into six and four bits, statuses into eight."""
    assert max(k.number for k in KINDS) < 64
    assert max(s.number for s in STATUSES) < 64
    assert len(DECISION_NAMES) <= 16


@pytest.mark.parametrize("data", [STATUSES, KINDS])
def test_no_number_is_given_twice(data: tuple[Any, ...]) -> None:
    assert len(data) == len({row.number for row in data})


def test_events_count_unless_they_change_nothing_on_purpose() -> None:
    assert {"applied", "lower_priority", "terminal_locked"} == {DECISION_NAMES[d] for d in COUNTED}


def test_a_kind_strives_for_the_rank_of_its_status() -> None:
    """Except `unknown`, which ends a wait but undoes nothing that is known."""
    others = {k.name for k in KINDS if KIND_RANK[k.number] != STATUS_RANK[k.status]}

    assert {"unknown"} == others
    assert STATUS_RANK[STATUS_NUMBER["soft_bounce", False]] < KIND_RANK[UNKNOWN]
    assert KIND_RANK[UNKNOWN] < STATUS_RANK[STATUS_NUMBER["delivered", False]]


# What is stored.

STORED_STATUSES = [
    "none",
    "planned",
    "ready",
    "sent",
    "deferred",
    "soft_bounce",
    "delivered",
    "opened_machine",
    "opened",
    "clicked",
    "unsubscribed",
    "complained",
    "hard_bounce",
    "rejected",
    "invalid_address",
    "failed",
    "unknown",
    "soft_bounce",
]
STORED_KINDS = [
    "tick",
    "planned",
    "ready",
    "sent",
    "deferred",
    "soft_bounce",
    "delivered",
    "opened_machine",
    "opened",
    "clicked",
    "unsubscribed",
    "complained",
    "hard_bounce",
    "rejected",
    "invalid_address",
    "failed",
    "unknown",
    "autoresponded",
    "resubscribed",
    "clicked_machine",
    "clicked_unsubscribe_link",
    "unsubscribed_one_click",
    "expired",
    "released",
    "declared",
]
STORED_REASONS = [
    "duplicate_address",
    "no_address",
    "invalid_address",
    "incorrect_address",
    "unsubscribed",
    "unsubscribed_from_type",
    "previously_complained",
    "previously_bounced",
    "communication_limit",
    "expired",
    "stopped",
    "template_missing",
    "sender_not_verified",
]
STORED_FACTS = [
    "planned",
    "ready",
    "sent",
    "deferred",
    "soft_bounced",
    "delivered",
    "confirmed",
    "hard_bounced",
    "rejected",
    "invalid_address",
    "failed",
    "opened_machine",
    "opened",
    "clicked",
    "clicked_machine",
    "unsubscribe_link",
    "unsubscribed",
    "one_click",
    "complained",
    "autoresponded",
    "not_sent",
    "unknown",
    "expired",
    "bounced_after_delivery",
    "test",
    "resubscribed",
    "duplicate_address",
    "given_up",
]
STORED_DECISIONS = ["applied", "duplicate", "lower_priority", "terminal_locked", "late", "test", "unattributed"]


def test_stored_numbers_stay_as_they_are() -> None:
    """They stand in rows and changelogs: new ones go to the end, none may change its meaning."""
    reasons = {32 + i: f"not_sent_{reason}" for i, reason in enumerate(STORED_REASONS)}
    statuses = dict(enumerate(STORED_STATUSES)) | reasons
    kinds = dict(enumerate(STORED_KINDS)) | reasons

    assert statuses == {n: STATUS_NAME[n] for n in statuses}
    assert kinds == {n: KIND_NAME[n] for n in kinds}
    assert tuple(STORED_FACTS) == FACT_NAMES[: len(STORED_FACTS)]
    assert tuple(STORED_DECISIONS) == DECISION_NAMES[: len(STORED_DECISIONS)]
    assert Decision.UNATTRIBUTED == DECISION_NAMES.index("unattributed")
