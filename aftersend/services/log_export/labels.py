"""Labels in a log: for each column of statuses or reasons another one, with their names in a language."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from aftersend.locale.catalogue import name_of
from aftersend.locale.languages import LanguageCode
from aftersend.rules.views.base import View
from aftersend.services.log_export.lines import LogLine, WriteLine
from aftersend.services.names import terms

#: Returns the function that writes a line, given the columns.
OpenWriter = Callable[[Sequence[str]], WriteLine]

_STATUSES: Final = ("status", "response")
_REASONS: Final = {
    "reason": terms.ADOBE_REASON,
    "reason_type": terms.ADOBE_REASON_TYPE,
    "earlier_reason": terms.ADOBE_REASON,
}
_SUFFIX: Final = "_label"


def labelled(open_writer: OpenWriter, view: View, language: LanguageCode | None) -> OpenWriter:
    """Return what opens a log with label columns after all others; the same log for the language None.

    Args:
        open_writer: opens the output once the columns are known.
        view: of the log.
        language: of the labels.
    """
    if language is None:
        return open_writer
    contexts = {**dict.fromkeys(_STATUSES, terms.status_context(view)), **_REASONS}

    def open_labelled(columns: Sequence[str]) -> WriteLine:
        named = [(name, contexts[name]) for name in columns if name in contexts]
        write = open_writer((*columns, *(name + _SUFFIX for name, _ in named)))

        def line(values: LogLine) -> None:
            labels = {
                name + _SUFFIX: name_of(language, context, values[name]) if values[name] else ""
                for name, context in named
            }
            write({**values, **labels})

        return line

    return open_labelled
