"""What a viewer sees: numbers, times, and names and ids of ours; no text that anybody else wrote.

An allow-list, on the answer as a whole just before it is shown: a string passes only if its field is listed and its
value is of the kind that the list says. Everything else is hidden, and so is a field that is new, until it is listed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final

from aftersend.rules.contact import suppression
from aftersend.rules.kpi.indicators import RATES, ROW_KPIS
from aftersend.rules.recipient.decisions import DECISION_NAMES
from aftersend.rules.recipient.facts import FACT_NAMES
from aftersend.rules.recipient.kinds import KIND_NAME
from aftersend.rules.recipient.statuses import STATUS_NAME
from aftersend.rules.views import VIEWS
from aftersend.schemas.event import MESSAGE_TYPES, NOT_SENT_REASONS
from aftersend.sources.registry import REGISTRY

#: Shown instead of what is hidden.
HIDDEN: Final = "***"

#: Whether a string may be shown.
Passes = Callable[[str], bool]

_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_ENHANCED_CODE: Final = re.compile(r"[245]\.\d{1,3}\.\d{1,3}")
_CURSOR: Final = re.compile(r"[A-Za-z0-9_-]+")
#: A page and its section.
_SECTION: Final = re.compile(r"[a-z/.]+ \xa7[0-9.]+, [a-z_ ]+")
#: Values of a contact's `cause`.
_CAUSES: Final = frozenset({"complained", "unsubscribed", "hard_bounce", "invalid_address"})
#: Last parts of the names of topics with events, besides the sources' names.
_TOPICS: Final = frozenset({"events", "clock"})
_SOURCES: Final = frozenset({*REGISTRY, "clock"})
_STATUSES: Final = frozenset({*STATUS_NAME, *(status for view in VIEWS.values() for status in view.statuses)})
#: Of events, and of the notices on a contact's card.
_KINDS: Final = frozenset({*KIND_NAME, "bounced", "complained", "unsubscribed", "not_sent"})
_NUMBERS: Final = frozenset({*ROW_KPIS, *DECISION_NAMES, *(rate.name for rate in RATES), *_STATUSES})


def _one_of(names: frozenset[str]) -> Passes:
    return names.__contains__


def _like(pattern: re.Pattern[str]) -> Passes:
    return lambda text: pattern.fullmatch(text) is not None


def _is_delivery_id(text: str) -> bool:
    """Return whether an id is no address, as ids of single messages may be."""
    return "@" not in text


def _is_topic(text: str) -> bool:
    return text.rpartition(".")[2] in _SOURCES | _TOPICS


def _is_ours(_text: str) -> bool:
    """Pass a sentence of ours: `aftersend.rules.explain` makes them of numbers, times, and names of ours only."""
    return True


_time: Final = _like(_TIME)
_status: Final = _one_of(_STATUSES)
_facts: Final = _one_of(frozenset(FACT_NAMES))
_number: Final = _one_of(_NUMBERS)

#: Strings that a viewer sees, by field at any depth.
ALLOWED: Final[Mapping[str, Passes]] = {
    **dict.fromkeys(
        (
            *("as_of", "arrived_at", "at", "cause_at", "clicked_at", "complained_at", "delivered_at"),
            *("error_counted_at", "last_clicked_at", "last_opened_at", "occurred_at", "opened_at", "pending_since"),
            *("quarantined_at", "sent_at", "since", "started_at", "status_at", "unsubscribed_at", "until"),
            "updated_at",
        ),
        _time,
    ),
    "delivery_id": _is_delivery_id,
    "cause_delivery_id": _is_delivery_id,
    "status": _status,
    "previous": _status,
    "before": _status,
    "after": _status,
    "views": _status,
    "facts": _facts,
    "new_facts": _facts,
    "lost_facts": _facts,
    "source": _one_of(_SOURCES),
    "kind": _one_of(_KINDS),
    "decision": _one_of(frozenset(DECISION_NAMES)),
    "cause": _one_of(_CAUSES),
    "message_type": _one_of(frozenset(MESSAGE_TYPES)),
    "types": _one_of(frozenset(MESSAGE_TYPES)),
    # Of a suppression check; an event's own reason is its sender's text.
    "reason": _one_of(frozenset(suppression.REASONS)),
    "not_sent": _one_of(frozenset(NOT_SENT_REASONS)),
    "enhanced_code": _like(_ENHANCED_CODE),
    "numerator_name": _number,
    "denominator_name": _number,
    "topic": _is_topic,
    "next": _like(_CURSOR),
    "reference": _like(_SECTION),
    "rule": _is_ours,
    "notes": _is_ours,
    "disagreements": _is_ours,
}
#: Objects whose keys are names, by field; the keys of all others are fields.
_NAMED: Final[Mapping[str, Passes]] = {
    **dict.fromkeys(("kpis", "rates", "statuses", "decisions"), _number),
    "views": _one_of(frozenset(VIEWS)),
}

#: Left out: the labels of an answer are made of the masked one (`aftersend.services.names.labels`).
_LABELS: Final = "labels"


def masked(value: Any, field: str = "") -> Any:
    """Return an answer as a viewer sees it.

    Args:
        value: of JSON's types.
        field: that has the value; "": none, it is the whole answer.
    """
    if isinstance(value, str):
        return value if not value or _allows(field)(value) else HIDDEN
    if isinstance(value, dict):
        names = _NAMED.get(field)
        if names is None:
            return {name: masked(inner, name) for name, inner in value.items() if name != _LABELS}
        # An object in it has fields again, such as a rate's.
        return {
            name if names(name) else HIDDEN: masked(inner, "" if isinstance(inner, dict) else field)
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [masked(inner, field) for inner in value]
    return value


@cache
def _allows(field: str) -> Passes:
    return ALLOWED.get(field, _hides)


def _hides(_text: str) -> bool:
    return False
