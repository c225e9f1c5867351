"""Labels of an answer in JSON: the names, in a language, of the keys that occur in it.

Keys stay as they are, so a program reads an answer the same way in every language; people read the labels beside them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from aftersend.locale.catalogue import name_of
from aftersend.locale.languages import LanguageCode
from aftersend.rules.views import VIEWS
from aftersend.services.names import terms

#: Context of a field's value, by the field's name at any depth.
_VALUES: Final[Mapping[str, str]] = {
    **dict.fromkeys(("status", "previous", "before", "after"), terms.STATUS),
    **dict.fromkeys(("facts", "new_facts", "lost_facts"), terms.FACT),
    **dict.fromkeys(("numerator_name", "denominator_name"), terms.KPI),
    "decision": terms.DECISION,
    "kind": terms.EVENT,
    "cause": terms.STATUS,
    "message_type": terms.MESSAGE_TYPE,
    "types": terms.MESSAGE_TYPE,
    "reason": terms.SUPPRESSION_REASON,
    "not_sent": terms.NOT_SENT_REASON,
    "standing": terms.ADDRESS_STATUS,
    "notice": terms.ESCALA_NOTICE,
    "label": terms.ESCALA_LABEL,
}
#: Context of the keys of an object, by the name of the field that has it.
_KEYS: Final[Mapping[str, str]] = {
    "kpis": terms.KPI,
    "rates": terms.RATE,
    "statuses": terms.STATUS,
    "decisions": terms.DECISION,
}
_VIEWS: Final = "views"
_KNOWN: Final[Mapping[str, frozenset[str]]] = {context: frozenset(keys) for context, keys in terms.terms().items()}


class Term(NamedTuple):
    """A key in an answer."""

    #: Name of the labels' object that has it: the context, or the name of the view.
    group: str
    context: str
    key: str


def labels_of(answer: Any, language: LanguageCode) -> dict[str, Any]:
    """Return the labels of an answer: by context, or by the name of the view, then by key.

    Args:
        answer: of JSON's types.
        language: of the names.
    """
    names: dict[str, dict[str, str]] = {}
    for group, context, key in _terms(answer, ""):
        # A failure's reason, say, may be a key of ours, or anybody's word.
        if key in _KNOWN[context]:
            names.setdefault(group.replace(" ", "_"), {})[key] = name_of(language, context, key)
    return {"language": language, **names}


def with_labels(answer: dict[str, Any], language: LanguageCode | None) -> dict[str, Any]:
    """Return an answer with its labels; unchanged for the language None."""
    return answer if language is None else {**answer, "labels": labels_of(answer, language)}


def _terms(value: Any, field: str) -> Iterator[Term]:
    if isinstance(value, str):
        if context := _VALUES.get(field):
            yield Term(context, context, value)
    elif isinstance(value, list):
        for inner in value:
            yield from _terms(inner, field)
    elif isinstance(value, dict):
        if field == _VIEWS:
            yield from _of_views(value)
            return
        context = _KEYS.get(field)
        for name, inner in value.items():
            if context:
                yield Term(context, context, name)
            yield from _terms(inner, "" if context else name)


def _of_views(statuses: Mapping[str, Any]) -> Iterator[Term]:
    """Yield the statuses in views, or what they were before and after a step."""
    for name, status in statuses.items():
        if view := VIEWS.get(name):
            both = status.values() if isinstance(status, dict) else (status,)
            for key in both:
                if isinstance(key, str):
                    yield Term(name, terms.status_context(view), key)
