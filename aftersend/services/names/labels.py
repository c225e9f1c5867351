"""Labels of an answer in JSON: the names, in a language, of the keys that occur in it.

Keys stay as they are, so a program reads an answer the same way in every language; people read the labels beside them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final, NamedTuple

import msgspec

from aftersend.locale.catalogue import name_of
from aftersend.locale.languages import LanguageCode
from aftersend.rules.views import VIEWS
from aftersend.services.names import terms

#: Contexts of a field's value, by the field's name at any depth.
_VALUES: Final[Mapping[str, tuple[str, ...]]] = {
    **dict.fromkeys(("status", "previous", "before", "after"), (terms.STATUS,)),
    **dict.fromkeys(("facts", "new_facts", "lost_facts"), (terms.FACT,)),
    **dict.fromkeys(("numerator_name", "denominator_name"), (terms.KPI,)),
    "decision": (terms.DECISION,),
    "kind": (terms.EVENT,),
    "cause": (terms.STATUS,),
    "message_type": (terms.MESSAGE_TYPE,),
    "types": (terms.MESSAGE_TYPE,),
    "reason": (terms.SUPPRESSION_REASON, terms.ESCALA_REASON),
    "not_sent": (terms.NOT_SENT_REASON,),
    "standing": (terms.ADDRESS_STATUS,),
    "notice": (terms.ESCALA_NOTICE,),
    "label": (terms.ESCALA_LABEL,),
}
#: Context of the keys of an object, by the name of the field that has it.
_KEYS: Final[Mapping[str, str]] = {
    "kpis": terms.KPI,
    "rates": terms.RATE,
    "statuses": terms.STATUS,
    "decisions": terms.DECISION,
}
_VIEWS: Final = "views"


class Term(NamedTuple):
    """A key in an answer."""

    #: Where the labels have it: the context, or the name of the view.
    group: str
    context: str
    key: str


class ApiLabels(msgspec.Struct, kw_only=True):
    """Names, for people, of the keys in an answer."""

    language: LanguageCode
    names: Annotated[
        dict[str, dict[str, str]], msgspec.Meta(description="by kind of key or name of the view, then by key")
    ]


def labels_of(answer: Any, language: LanguageCode) -> ApiLabels:
    """Return the labels of an answer.

    Args:
        answer: of JSON's types.
        language: of the names.
    """
    names: dict[str, dict[str, str]] = {}
    for group, context, key in _terms(answer, ""):
        # A failure's reason, say, may be a key of ours, or anybody's word.
        if terms.is_known(context, key):
            names.setdefault(group.replace(" ", "_"), {})[key] = name_of(language, context, key)
    return ApiLabels(language=language, names=names)


def with_labels(answer: dict[str, Any], language: LanguageCode | None) -> dict[str, Any]:
    """Return an answer with its labels; unchanged for the language None."""
    return answer if language is None else {**answer, "labels": msgspec.to_builtins(labels_of(answer, language))}


def _terms(value: Any, field: str) -> Iterator[Term]:
    if isinstance(value, str):
        for context in _VALUES.get(field, ()):
            yield Term(context, context, value)
    elif isinstance(value, list):
        for inner in value:
            yield from _terms(inner, field)
    elif isinstance(value, dict):
        if field == _VIEWS:
            yield from _of_views(value)
            return
        of_keys = _KEYS.get(field)
        for name, inner in value.items():
            if of_keys:
                yield Term(of_keys, of_keys, name)
            yield from _terms(inner, "" if of_keys else name)


def _of_views(statuses: Mapping[str, Any]) -> Iterator[Term]:
    """Yield the statuses in views, or what they were before and after a step."""
    for name, status in statuses.items():
        if view := VIEWS.get(name):
            both = status.values() if isinstance(status, dict) else (status,)
            for key in both:
                if isinstance(key, str):
                    yield Term(name, terms.status_context(view), key)
