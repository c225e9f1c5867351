"""Names of a view's statuses, counts, rates and logs, as its product has them, in a language."""

from __future__ import annotations

from collections.abc import Sequence

from aftersend.errors import UsageError
from aftersend.locale.catalogue import keys_of, name_of
from aftersend.locale.languages import LanguageCode
from aftersend.rules.views.adobe.reasons import REASONS
from aftersend.rules.views.base import View
from aftersend.services.names import terms


class ViewNames:
    """Names of one view.

    Args:
        view: the view.
        language: of the names.
    """

    def __init__(self, view: View, language: LanguageCode) -> None:
        self._language = language
        self._product = terms.product_of(view)
        self._statuses = terms.status_context(view)
        self._titles = {count.name: count.title for count in view.counts}
        self._rates = {rate.name: rate.title for rate in view.rates}
        #: Of the view.
        self.title = name_of(language, terms.VIEW, view.title)
        #: Heading of its counts.
        self.block = name_of(language, f"{self._product} block", terms.BLOCKS[self._product])

    def status(self, key: str) -> str:
        """Return the name of a status."""
        return name_of(self._language, self._statuses, key)

    def number(self, name: str) -> str:
        """Return the title of a count or total, by its name in the view."""
        title = self._titles.get(name)
        if title is None:
            return name_of(self._language, terms.KPI, name)
        return name_of(self._language, f"{self._product} kpi", title)

    def rate(self, name: str) -> str:
        """Return the title of a rate, by its name in the view."""
        return name_of(self._language, f"{self._product} rate", self._rates[name])


def statuses_named(view: View, given: Sequence[str]) -> list[str]:
    """Return the statuses of a view that have one of some names, in any language and in any case.

    Raises:
        UsageError: if the view has no status of a name.
    """
    found: list[str] = []
    context = terms.status_context(view)
    for name in given:
        keys = keys_of(context, view.statuses, name)
        if not keys:
            raise UsageError(f"no status {name!r}: the view has {', '.join(view.statuses)}")
        found += keys
    return found


def reasons_named(given: Sequence[str]) -> list[str]:
    """Return Adobe's failure reasons that have one of some names, in any language and in any case, or values.

    Raises:
        UsageError: if there is no such reason.
    """
    found: list[str] = []
    names = [reason.name for reason in REASONS]
    for name in given:
        keys = [reason.name for reason in REASONS if name.strip() == str(reason.value)]
        keys = keys or keys_of(terms.ADOBE_REASON, names, name)
        if not keys:
            raise UsageError(f"no reason {name!r}: there are {', '.join(f'{one.value} {one.name}' for one in REASONS)}")
        found += keys
    return found
