"""The JSON Schemas of what consumers read, `docs/reference/schemas`, from the structs and the names of the rules.

They are not made in `schemas`, which must not import the names that the rules give to statuses, facts and KPIs.
"""

from __future__ import annotations

import inspect
import json
import re
from typing import Any, Final

import msgspec

from aftersend.rules.contact.fold import MAX_NOTICES
from aftersend.rules.kpi.alerts import THRESHOLDS
from aftersend.rules.kpi.indicators import INDICATORS, TOTALS
from aftersend.rules.recipient.decisions import DECISION_NAMES
from aftersend.rules.recipient.facts import FACT_NAMES
from aftersend.rules.recipient.kinds import KINDS
from aftersend.rules.recipient.statuses import STATUS_NAMES
from aftersend.schemas.alert import DeliveryAlert
from aftersend.schemas.contact import Contact, ContactError, Notice, Release, Unsubscription
from aftersend.schemas.delivery import POLICIES, Declaration, Delivery
from aftersend.schemas.event import EVENT_TYPES, MESSAGE_TYPES, NOT_SENT_REASONS, Feedback
from aftersend.schemas.kpi import Clock, DeliveryKpis
from aftersend.schemas.recipient import Cause, PublicFailure, RecipientState
from aftersend.schemas.version import SCHEMA_VERSION

#: By the name of the file.
DOCUMENTED: Final[dict[str, type[msgspec.Struct]]] = {
    "recipient-state": RecipientState,
    "contact": Contact,
    "delivery-kpis": DeliveryKpis,
    "clock": Clock,
    "delivery": Delivery,
    "alert": DeliveryAlert,
    "feedback": Feedback,
}
_PARTS: Final[tuple[type[msgspec.Struct], ...]] = (
    Cause,
    Declaration,
    Notice,
    PublicFailure,
    ContactError,
    Release,
    Unsubscription,
)
_STRUCTS: Final = {struct.__name__: struct for struct in (*DOCUMENTED.values(), *_PARTS)}

_STATUSES: Final = ["none", *STATUS_NAMES]
_KINDS: Final = sorted({kind.name for kind in KINDS})
_COUNT: Final = {"type": "integer", "minimum": 0}
#: Struct -> field -> what its type does not say.
_MORE: Final[dict[str, dict[str, dict[str, Any]]]] = {
    "RecipientState": {
        "status": {"enum": _STATUSES, "description": "The one status, by rank; what else happened, `facts` tell."},
        "previous": {"enum": ["", *_STATUSES]},
        "facts": {
            "type": "array",
            "items": {"enum": list(FACT_NAMES)},
            "uniqueItems": True,
            "description": "All that ever happened to the recipient; facts are never taken back.",
        },
        "message_type": {
            "enum": ["", *MESSAGE_TYPES],
            "description": "As declared of the delivery before the row began, else the first that an event named.",
        },
        "sent_at": {"description": "The first `sent`, by the source's clock, like all times below."},
        "opens": {
            "description": "Opens by humans, every one counted; likewise `clicks`, without the unsubscribe link."
        },
        "failure": {"description": "The latest failure by the source's clock; a later success leaves it readable."},
    },
    "Cause": {
        "kind": {"enum": ["", *_KINDS], "description": "The event's type, told apart where the rules differ."},
        "topic": {"description": "Where the raw record lies, with `partition` and `offset`."},
    },
    "Contact": {
        "cause": {"enum": ["", "complained", "unsubscribed", "hard_bounce", "invalid_address"], "description": "Why."},
        "notices": {"description": f"What came of the last messages, the latest last; at most {MAX_NOTICES}."},
    },
    "Unsubscription": {
        "types": {
            "items": {"enum": list(MESSAGE_TYPES)},
            "description": "Types of the messages in which it was done; none: from all.",
        },
    },
    "Notice": {
        "kind": {"enum": ["bounced", "complained", "unsubscribed", "not_sent"], "description": "What came of it."},
    },
    "DeliveryKpis": {
        "kpis": {
            "properties": {
                **{kpi.name: {**_COUNT, "description": kpi.meaning} for kpi in (*INDICATORS, *TOTALS)},
                **{name: {**_COUNT, "description": "events with this decision"} for name in DECISION_NAMES},
            },
            "required": [*(kpi.name for kpi in (*INDICATORS, *TOTALS)), *DECISION_NAMES],
            "additionalProperties": _COUNT,
            "description": "Recipients, events and decisions; each is a sum, so partitions add up.",
        },
        "statuses": {"propertyNames": {"enum": _STATUSES}, "additionalProperties": _COUNT},
        "events": {
            "additionalProperties": {
                "type": "object",
                "propertyNames": {"enum": _KINDS},
                "additionalProperties": {
                    "type": "object",
                    "propertyNames": {"enum": list(DECISION_NAMES)},
                    "additionalProperties": _COUNT,
                },
            }
        },
    },
    "DeliveryAlert": {
        "alert": {"enum": [threshold.name for threshold in THRESHOLDS]},
        "state": {"enum": ["raised", "ended"]},
    },
    "Declaration": {"policy": {"enum": ["", *POLICIES]}},
    "Delivery": {
        "policy": {"enum": ["", *POLICIES]},
        "message_type": {"enum": ["", *MESSAGE_TYPES], "description": "What kind of messages it has."},
    },
    "Feedback": {
        "type": {"enum": list(EVENT_TYPES), "description": "What happened; any other value counts as `unknown`."},
        "event_id": {
            "description": "The same whenever the same event comes again: the source's own id, else 32 hex digits."
        },
        "source": {"description": "The name of the source that said so."},
        "reason": {
            "description": f"With `not_sent` one of {', '.join(NOT_SENT_REASONS)}; else the source's own class."
        },
        "message_type": {"enum": ["", *MESSAGE_TYPES], "description": "What kind of message it was, if anything says."},
    },
}

#: A comment of a field in the structs' source, and the field.
_COMMENTED: Final = re.compile(r"((?:^ +#: .*\n)+) +(\w+):", re.MULTILINE)


def documents() -> dict[str, str]:
    """Return the JSON Schemas as text, by file name."""
    return {
        f"{name}.json": json.dumps(_schema(struct), indent=2, ensure_ascii=False) + "\n"
        for name, struct in DOCUMENTED.items()
    }


def _schema(struct: type[msgspec.Struct]) -> dict[str, Any]:
    _, definitions = msgspec.json.schema_components([struct])
    for name, definition in definitions.items():
        _complete(_STRUCTS[name], definition)
    own = definitions.pop(struct.__name__)
    rest = {"$defs": definitions} if definitions else {}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **own, **rest}


def _complete(struct: type[msgspec.Struct], definition: dict[str, Any]) -> None:
    """Add what the struct's types do not say: what fields mean, and which values they take."""
    definition["description"] = inspect.cleandoc(definition["description"])
    properties: dict[str, Any] = definition["properties"]
    for name, field in properties.items():
        if "anyOf" in field:  # or null, which stands for a field that is left out
            properties[name] = field["anyOf"][0]
    for base in reversed([b for b in struct.__mro__ if b.__module__.startswith("aftersend.schemas.")]):
        for name, text in _comments(base).items():
            properties[name]["description"] = text
    for name, more in _MORE.get(struct.__name__, {}).items():
        properties[name] |= more
    if "schema" in properties:
        properties["schema"] |= {"const": SCHEMA_VERSION}


def _comments(struct: type) -> dict[str, str]:
    """Return the comments (`#:`) of a struct's fields."""
    found = _COMMENTED.findall(inspect.getsource(struct))
    return {field: " ".join(line.strip().removeprefix("#: ") for line in text.splitlines()) for text, field in found}
