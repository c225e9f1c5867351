"""Adobe Campaign's way of looking at a delivery (`semantics.md` section 3): one table, four policies.

A row stands at one *step*, which its class (facts, status) tells; a policy says for each step what the sending log
shows and what the row adds to *delivered* and to *bounces + errors*. The policies are those of Campaign Standard
without and with the Email Feedback Service (EFS), of Campaign v8 with it, and of Campaign Classic with the enhanced
MTA.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Final, NamedTuple

from aftersend.rules.recipient.lifecycle import NOT_SENT, STATUS_TERMINAL, STATUSES, Fact
from aftersend.rules.views.adobe.logs import logs
from aftersend.rules.views.base import HANDED_OVER, Count, Rate, Shown, View, everybody, has, number_of


class Step(Enum):
    """How far a message has come."""

    PREPARED = "planned or ready, not with the MTA yet"
    EXCLUDED = "left out before sending"
    RELAYED = "relayed to the MTA, nothing heard since"
    DELIVERED = "delivery confirmed, said or implied; also after a retry"
    SOFT_BOUNCED = "a temporary failure was the last that was heard; retried"
    GIVEN_UP = "retries exhausted: the validity period is over"
    BOUNCED = "failed for good: hard bounce, refusal, invalid address or another error"
    #: **choice** The table has no row for it.
    NO_OUTCOME = "the validity period is over and nothing was ever heard, or nothing that anybody understands"
    #: **choice** The table has no row for it.
    STOPPED = "relayed, and then taken out of the queue"


_STEP: Final = [Step.PREPARED] * 64
for _step, _names in {
    Step.RELAYED: ("sent",),
    Step.SOFT_BOUNCED: ("deferred", "soft_bounce"),
    Step.DELIVERED: ("delivered", "opened_machine", "opened", "clicked"),
}.items():
    for _name in _names:
        _STEP[number_of(_name)] = _step
for _step, _names in {
    Step.DELIVERED: ("unsubscribed", "complained"),
    Step.GIVEN_UP: ("soft_bounce",),
    Step.BOUNCED: ("hard_bounce", "rejected", "invalid_address", "failed"),
    Step.NO_OUTCOME: ("unknown",),
    Step.EXCLUDED: tuple(s.name for s in STATUSES if s.number >= NOT_SENT),
}.items():
    for _name in _names:
        _STEP[number_of(_name, final=True)] = _step


def step_of(facts: int, status: int) -> Step:
    """Return the step that a row of a class stands at."""
    step = _STEP[status]
    if step is Step.PREPARED and facts & HANDED_OVER:
        return Step.RELAYED  # an automatic reply came, and so far nothing else
    if facts & Fact.GIVEN_UP and (step is Step.SOFT_BOUNCED or step is Step.NO_OUTCOME):
        return Step.GIVEN_UP
    if step is Step.EXCLUDED and facts & HANDED_OVER:
        return Step.STOPPED
    return step


class Cell(NamedTuple):
    """What a policy makes of a step."""

    status: str
    #: Adds one to *delivered*; with a policy that goes by confirmation, the fact decides instead.
    delivered: bool = False
    #: Adds one to *bounces + errors*.
    error: bool = False


class Policy(NamedTuple):
    """One column of the table."""

    name: str
    title: str
    #: What the product calls *delivered*.
    delivered_title: str
    cells: dict[Step, Cell]
    #: Whether *delivered* counts confirmed deliveries, which stay counted whatever comes after; else it counts what was
    #: relayed and has not failed.
    confirmed: bool = False

    def cell_of(self, facts: int, status: int) -> Cell:
        """Return what a row of a class shows and adds."""
        cell = self.cells[step_of(facts, status)]
        return cell._replace(delivered=bool(facts & Fact.DELIVERED)) if self.confirmed else cell


PENDING: Final = "Pending"
TAKEN: Final = "Taken into account by the service provider"
SENT: Final = "Sent"
FAILED: Final = "Failed"
EXCLUDED: Final = "Excluded"

_STATUSES: Final = (PENDING, SENT, FAILED, EXCLUDED)
_FAILURE: Final = Cell(FAILED, error=True)
#: The same for all.
_COMMON: Final = {
    Step.PREPARED: Cell(PENDING),
    Step.EXCLUDED: Cell(EXCLUDED),
    Step.BOUNCED: _FAILURE,
    Step.GIVEN_UP: _FAILURE,
    Step.STOPPED: _FAILURE,
}
#: No news are good news.
_BY_BOUNCES: Final = _COMMON | dict.fromkeys(
    (Step.RELAYED, Step.DELIVERED, Step.SOFT_BOUNCED, Step.NO_OUTCOME), Cell(SENT, delivered=True)
)

POLICIES: Final = (
    Policy("without-efs", "Adobe Campaign Standard without Email Feedback Service", "Delivered", _BY_BOUNCES),
    Policy(
        "efs",
        "Adobe Campaign Standard with Email Feedback Service",
        "Delivered",
        _COMMON
        | {
            Step.RELAYED: Cell(PENDING),
            Step.DELIVERED: Cell(SENT),
            Step.SOFT_BOUNCED: _FAILURE,
            Step.NO_OUTCOME: _FAILURE,
        },
        confirmed=True,
    ),
    Policy(
        "v8",
        "Adobe Campaign v8 with Email Feedback Service",
        "Success",
        _COMMON
        | {
            Step.RELAYED: Cell(TAKEN),
            Step.DELIVERED: Cell(SENT),
            Step.SOFT_BOUNCED: Cell(TAKEN),
            Step.NO_OUTCOME: _FAILURE,
        },
        confirmed=True,
    ),
    Policy("enhanced-mta", "Adobe Campaign Classic with enhanced MTA", "Success", _BY_BOUNCES),
)

_HARD: Final = (number_of("hard_bounce", final=True), number_of("invalid_address", final=True))
_REJECTED: Final = number_of("rejected", final=True)
_SOFT: Final = frozenset({Step.SOFT_BOUNCED, Step.GIVEN_UP})


def _stands_at(*steps: Step) -> Callable[[int, int], bool]:
    return lambda facts, status: step_of(facts, status) in steps


def _is_left_out(facts: int, status: int) -> bool:
    return step_of(facts, status) is Step.EXCLUDED


#: Counts that every policy has in common.
_COUNTS: Final = (
    Count(
        "sent",
        "Messages sent",
        lambda facts, status: not _is_left_out(facts, status) and bool(facts & HANDED_OVER),
        "handed to the MTA, said or implied by any outcome",
    ),
    Count("excluded", "Excluded", _is_left_out, "left out before sending: the exclusion log"),
    Count(
        "duplicates", "Duplicates", has(Fact.DUPLICATE_ADDRESS), "more than once in the target; extra copies left out"
    ),
    Count(
        "soft_bounces",
        "Soft bounces",
        _stands_at(*_SOFT),
        "a temporary failure is the last that was heard; a retry that succeeds takes it off",
    ),
    Count("hard_bounces", "Hard bounces", lambda _, status: status in _HARD, "the address is bad"),
    Count("rejected", "Rejected", lambda _, status: status == _REJECTED, "refused by the provider"),
    Count("opens", "Opens", has(Fact.OPENED | Fact.CLICKED | Fact.UNSUBSCRIBE_LINK), "a click counts as an open"),
    Count("machine_opens", "Opens by machines", has(Fact.OPENED_MACHINE), "apart; the product mixes them in"),
    Count("clicks", "Clicks", has(Fact.CLICKED), "distinct recipients, the unsubscribe link excluded"),
    Count("unsubscribed", "Unsubscriptions", has(Fact.UNSUBSCRIBED), "in any way"),
    Count(
        "quarantined",
        "Quarantined",
        has(Fact.HARD_BOUNCED | Fact.INVALID_ADDRESS),
        "a hard error puts the address into quarantine at once; a fifth soft error is the contact's, not counted here",
    ),
    Count("denylisted", "Denylisted", has(Fact.COMPLAINED), "a complaint puts the address on the denylist"),
)


def _view(policy: Policy) -> View:
    def status_of(facts: int, status: int) -> Shown:
        return Shown(policy.cell_of(facts, status).status, STATUS_TERMINAL[status])

    def is_delivered(facts: int, status: int) -> bool:
        return policy.cell_of(facts, status).delivered

    def is_error(facts: int, status: int) -> bool:
        return policy.cell_of(facts, status).error

    meaning = "confirmed, said or implied; never taken off" if policy.confirmed else "relayed and not failed"
    counts = (
        Count("audience", "Target", everybody, "everybody that anything was heard of, test messages left out"),
        Count(
            "to_send", "Messages to send", lambda f, s: not _is_left_out(f, s), "the target without what was left out"
        ),
        _COUNTS[0],
        Count("delivered", policy.delivered_title, is_delivered, meaning),
        Count("bounces_and_errors", "Bounces + errors", is_error, f"those that the sending log shows as {FAILED}"),
        *_COUNTS[1:],
    )
    rates = (
        # The Deployment block. Its percentages are over messages sent: **choice**.
        Rate("delivered_share", f"% {policy.delivered_title.lower()}", "delivered", "sent"),
        Rate("bounces_and_errors_share", "% bounces + errors", "bounces_and_errors", "sent"),
        Rate("open_rate", "Open rate", "opens", "delivered"),
        Rate("click_through_rate", "Click-through rate", "clicks", "delivered"),
        # The reports.
        Rate("delivered_rate", "Delivered rate", "delivered", "delivered", plus="bounces_and_errors"),
        Rate("soft_bounce_rate", "Soft bounce rate", "soft_bounces", "sent"),
        Rate("hard_bounce_rate", "Hard bounce rate", "hard_bounces", "sent"),
        Rate("rejected_rate", "Rejected rate", "rejected", "sent"),
        Rate("quarantine_rate", "Quarantine rate", "quarantined", "sent"),
        Rate("denylist_rate", "Denylist rate", "denylisted", "sent"),
        Rate("unsubscribe_rate", "Unsubscribe rate", "unsubscribed", "delivered"),
        Rate("reactivity", "Reactivity", "clicks", "opens"),
    )
    statuses = (PENDING, TAKEN, *_STATUSES[1:]) if policy.name == "v8" else _STATUSES
    return View(policy.name, policy.title, statuses, status_of, counts, rates, logs(status_of))


VIEWS: Final = tuple(_view(policy) for policy in POLICIES)
