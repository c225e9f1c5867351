"""Adobe Campaign's views of a delivery (`docs/domain.md §5.1`): one table, four policies.

A row is at one *stage*, by its bucket (status, facts). A policy defines for each stage the status in the sending log
and whether the row counts as *delivered* and in *bounces + errors*. The policies are those of Campaign Standard
without and with the Email Feedback Service (EFS), of Campaign v8 with it, and of Campaign Classic with the enhanced
MTA.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Final, NamedTuple

from aftersend.rules.recipient.facts import HANDED_OVER, Fact
from aftersend.rules.recipient.statuses import NOT_SENT, STATUS_TERMINAL, STATUSES
from aftersend.rules.views.adobe.logs import EXCLUDED, FAILED, PENDING, SENT, TAKEN, logs
from aftersend.rules.views.base import ShownStatus, View, ViewCount, ViewRate, every_row, has, number_of


class DeliveryStage(Enum):
    """The stage of a message."""

    PREPARED = "planned or ready, not with the MTA yet"
    EXCLUDED = "left out before sending"
    RELAYED = "relayed to the MTA, no event since"
    DELIVERED = "delivery confirmed, reported or implied; also after a retry"
    SOFT_BOUNCED = "a temporary failure is the last event; retried"
    GIVEN_UP = "retries exhausted: the validity period is over"
    BOUNCED = "failed for good: hard bounce, refusal, invalid address or another error"
    #: **choice** The table has no row for it.
    NO_OUTCOME = "the validity period is over without an event, or with unknown events only"
    #: **choice** The table has no row for it.
    STOPPED = "relayed, and then taken out of the queue"


_STAGE: Final = [DeliveryStage.PREPARED] * 64
for _stage, _names in {
    DeliveryStage.RELAYED: ("sent",),
    DeliveryStage.SOFT_BOUNCED: ("deferred", "soft_bounce"),
    DeliveryStage.DELIVERED: ("delivered", "opened_machine", "opened", "clicked"),
}.items():
    for _name in _names:
        _STAGE[number_of(_name)] = _stage
for _stage, _names in {
    DeliveryStage.DELIVERED: ("unsubscribed", "complained"),
    DeliveryStage.GIVEN_UP: ("soft_bounce",),
    DeliveryStage.BOUNCED: ("hard_bounce", "rejected", "invalid_address", "failed"),
    DeliveryStage.NO_OUTCOME: ("unknown",),
    DeliveryStage.EXCLUDED: tuple(s.name for s in STATUSES if s.number >= NOT_SENT),
}.items():
    for _name in _names:
        _STAGE[number_of(_name, final=True)] = _stage


#: Facts that say that the retries are exhausted: by our clock, or by the MTA's own.
_GIVEN_UP: Final = Fact.GIVEN_UP | Fact.RETRIES_EXHAUSTED


def stage_of(facts: int, status: int) -> DeliveryStage:
    """Return the stage of a row."""
    stage = _STAGE[status]
    if stage is DeliveryStage.PREPARED and facts & HANDED_OVER:
        return DeliveryStage.RELAYED  # only an automatic reply has arrived so far
    if facts & _GIVEN_UP and (stage is DeliveryStage.SOFT_BOUNCED or stage is DeliveryStage.NO_OUTCOME):
        return DeliveryStage.GIVEN_UP
    if stage is DeliveryStage.EXCLUDED and facts & HANDED_OVER:
        return DeliveryStage.STOPPED
    return stage


class StageResult(NamedTuple):
    """A policy's status and counts for a stage."""

    status: str
    #: Counts as *delivered*; for a policy with `confirmed`, the fact decides instead.
    delivered: bool = False
    #: Counts in *bounces + errors*.
    error: bool = False


class AdobePolicy(NamedTuple):
    """One column of the table."""

    name: str
    title: str
    #: The product's name of *delivered*.
    delivered_title: str
    results: dict[DeliveryStage, StageResult]
    #: Whether *delivered* counts confirmed deliveries, which stay counted whatever follows; else it counts messages
    #: that were relayed and have not failed.
    confirmed: bool = False

    def result_of(self, facts: int, status: int) -> StageResult:
        """Return the status and counts of a row."""
        result = self.results[stage_of(facts, status)]
        return result._replace(delivered=bool(facts & Fact.DELIVERED)) if self.confirmed else result


_STATUSES: Final = (PENDING, SENT, FAILED, EXCLUDED)
_FAILURE: Final = StageResult(FAILED, error=True)
#: The same for all.
_COMMON: Final = {
    DeliveryStage.PREPARED: StageResult(PENDING),
    DeliveryStage.EXCLUDED: StageResult(EXCLUDED),
    DeliveryStage.BOUNCED: _FAILURE,
    DeliveryStage.GIVEN_UP: _FAILURE,
    DeliveryStage.STOPPED: _FAILURE,
}
#: Every message that has not failed counts as delivered.
_BY_BOUNCES: Final = _COMMON | dict.fromkeys(
    (DeliveryStage.RELAYED, DeliveryStage.DELIVERED, DeliveryStage.SOFT_BOUNCED, DeliveryStage.NO_OUTCOME),
    StageResult(SENT, delivered=True),
)

POLICIES: Final = (
    AdobePolicy("without-efs", "Adobe Campaign Standard without Email Feedback Service", "Delivered", _BY_BOUNCES),
    AdobePolicy(
        "efs",
        "Adobe Campaign Standard with Email Feedback Service",
        "Delivered",
        _COMMON
        | {
            DeliveryStage.RELAYED: StageResult(PENDING),
            DeliveryStage.DELIVERED: StageResult(SENT),
            DeliveryStage.SOFT_BOUNCED: _FAILURE,
            DeliveryStage.NO_OUTCOME: _FAILURE,
        },
        confirmed=True,
    ),
    AdobePolicy(
        "v8",
        "Adobe Campaign v8 with Email Feedback Service",
        "Success",
        _COMMON
        | {
            DeliveryStage.RELAYED: StageResult(TAKEN),
            DeliveryStage.DELIVERED: StageResult(SENT),
            DeliveryStage.SOFT_BOUNCED: StageResult(TAKEN),
            DeliveryStage.NO_OUTCOME: _FAILURE,
        },
        confirmed=True,
    ),
    AdobePolicy("enhanced-mta", "Adobe Campaign Classic with enhanced MTA", "Success", _BY_BOUNCES),
)

_HARD: Final = (number_of("hard_bounce", final=True), number_of("invalid_address", final=True))
_REJECTED: Final = number_of("rejected", final=True)
_SOFT: Final = frozenset({DeliveryStage.SOFT_BOUNCED, DeliveryStage.GIVEN_UP})


def _is_at(*stages: DeliveryStage) -> Callable[[int, int], bool]:
    return lambda facts, status: stage_of(facts, status) in stages


def _is_left_out(facts: int, status: int) -> bool:
    return stage_of(facts, status) is DeliveryStage.EXCLUDED


#: Counts that all policies share.
_COUNTS: Final = (
    ViewCount("sent", "Messages sent", has(HANDED_OVER), "handed to the MTA, said or implied by any outcome"),
    ViewCount("excluded", "Excluded", _is_left_out, "left out before sending: the exclusion log"),
    ViewCount(
        "duplicates", "Duplicates", has(Fact.DUPLICATE_ADDRESS), "more than once in the target; extra copies left out"
    ),
    ViewCount(
        "soft_bounces",
        "Soft bounces",
        _is_at(*_SOFT),
        "a temporary failure is the last event; a successful retry removes it",
    ),
    ViewCount("hard_bounces", "Hard bounces", lambda _, status: status in _HARD, "the address is bad"),
    ViewCount("rejected", "Rejected", lambda _, status: status == _REJECTED, "refused by the provider"),
    ViewCount("opens", "Opens", has(Fact.OPENED | Fact.CLICKED | Fact.UNSUBSCRIBE_LINK), "a click counts as an open"),
    ViewCount(
        "machine_opens",
        "Opens by machines",
        has(Fact.OPENED_MACHINE),
        "counted apart; the product includes them in opens",
    ),
    ViewCount("clicks", "Clicks", has(Fact.CLICKED), "distinct recipients, the unsubscribe link excluded"),
    ViewCount("unsubscribed", "Unsubscriptions", has(Fact.UNSUBSCRIBED), "in any way"),
    ViewCount(
        "quarantined",
        "Quarantined",
        has(Fact.HARD_BOUNCED | Fact.INVALID_ADDRESS),
        "a hard error quarantines the address at once; a quarantine by soft errors is the contact's, not counted here",
    ),
    ViewCount("denylisted", "Denylisted", has(Fact.COMPLAINED), "a complaint puts the address on the denylist"),
)


def _view(policy: AdobePolicy) -> View:
    def status_of(facts: int, status: int) -> ShownStatus:
        return ShownStatus(policy.result_of(facts, status).status, STATUS_TERMINAL[status])

    def is_delivered(facts: int, status: int) -> bool:
        return policy.result_of(facts, status).delivered

    def is_error(facts: int, status: int) -> bool:
        return policy.result_of(facts, status).error

    meaning = "confirmed, reported or implied; never removed" if policy.confirmed else "relayed and not failed"
    counts = (
        ViewCount("audience", "Target", every_row, "recipients with at least one event, test messages excluded"),
        ViewCount("to_send", "Messages to send", lambda f, s: not _is_left_out(f, s), "the target without exclusions"),
        _COUNTS[0],
        ViewCount("delivered", policy.delivered_title, is_delivered, meaning),
        ViewCount(
            "bounces_and_errors", "Bounces + errors", is_error, f"those with the status {FAILED} in the sending log"
        ),
        *_COUNTS[1:],
    )
    rates = (
        # The Deployment block. Its percentages are over messages sent: **choice**.
        ViewRate("delivered_share", f"% {policy.delivered_title.lower()}", "delivered", "sent"),
        ViewRate("bounces_and_errors_share", "% bounces + errors", "bounces_and_errors", "sent"),
        ViewRate("open_rate", "Open rate", "opens", "delivered"),
        ViewRate("click_through_rate", "Click-through rate", "clicks", "delivered"),
        # The reports.
        ViewRate("delivered_rate", "Delivered rate", "delivered", "delivered", plus="bounces_and_errors"),
        ViewRate("soft_bounce_rate", "Soft bounce rate", "soft_bounces", "sent"),
        ViewRate("hard_bounce_rate", "Hard bounce rate", "hard_bounces", "sent"),
        ViewRate("rejected_rate", "Rejected rate", "rejected", "sent"),
        ViewRate("quarantine_rate", "Quarantine rate", "quarantined", "sent"),
        ViewRate("denylist_rate", "Denylist rate", "denylisted", "sent"),
        ViewRate("unsubscribe_rate", "Unsubscribe rate", "unsubscribed", "delivered"),
        ViewRate("reactivity", "Reactivity", "clicks", "opens"),
    )
    statuses = (PENDING, TAKEN, *_STATUSES[1:]) if policy.name == "v8" else _STATUSES
    return View(policy.name, policy.title, statuses, status_of, counts, rates, logs(status_of))


VIEWS: Final = tuple(_view(policy) for policy in POLICIES)
