"""Logs of each view, and the default view and log."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal, NamedTuple

from aftersend.errors import UsageError
from aftersend.rules.views import VIEWS, creatio
from aftersend.rules.views.base import View, ViewLog

#: Names of `aftersend.rules.views.VIEWS`.
ViewName = Literal["without-efs", "efs", "v8", "enhanced-mta", "creatio", "escala"]
KindName = Literal["sending", "exclusions", "tracking", "audience", "recipients", "causes", "errors", "totals"]

#: Adobe's logs that `causes` and `errors` count.
SENDING: Final = "sending"
EXCLUSIONS: Final = "exclusions"
#: Adobe: excluded recipients by reason.
CAUSES: Final = "causes"
#: Adobe: failed recipients by reason. Creatio: the error chart.
ERRORS: Final = "errors"
#: Counts of any view.
TOTALS: Final = "totals"

#: Views to choose from, in this order, if neither the caller nor the declaration names one.
_DEFAULTS: Final = ("efs", "creatio", "escala")


class LogChoice(NamedTuple):
    """View and kind of a log."""

    view: View
    kind: str

    @property
    def log(self) -> ViewLog | None:
        """The view's log, or the log that the kind counts; None: the kind comes from the KPIs, without rows."""
        counted = {CAUSES: EXCLUSIONS, ERRORS: SENDING}.get(self.kind, self.kind)
        return next((log for log in self.view.logs if log.name == counted), None)


def kinds_of(view: View) -> tuple[str, ...]:
    """Return the kinds of a view, its default first."""
    names = tuple(log.name for log in view.logs)
    if EXCLUSIONS in names:
        names += (CAUSES, ERRORS)
    elif view is creatio.VIEW:
        names += (ERRORS,)
    return (*names, TOTALS)


def choose_log(view: str | None, kind: str | None, declared: str = "") -> LogChoice:
    """Return the log to export.

    Args:
        view: requested view; None: the declared one, or the first default view with the kind.
        kind: requested kind; None: the view's default.
        declared: policy in the delivery's declaration; "": none.

    Raises:
        UsageError: if the view has no such log.
    """
    names: Iterable[str] = (view,) if view is not None else (declared, *_DEFAULTS)
    for name in filter(None, names):
        chosen = VIEWS[name]
        if kind is None or kind in kinds_of(chosen):
            return LogChoice(chosen, kind or kinds_of(chosen)[0])
    chosen = VIEWS[view or _DEFAULTS[0]]
    raise UsageError(f"the view {chosen.name} has no log {kind!r}, only {', '.join(kinds_of(chosen))}")
