"""Which logs there are, by view, and which one is meant when nobody says."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal, NamedTuple

from aftersend.errors import UsageError
from aftersend.rules.views import VIEWS, creatio
from aftersend.rules.views.base import View, ViewLog

#: By the names of `aftersend.rules.views.VIEWS`.
ViewName = Literal["without-efs", "efs", "v8", "enhanced-mta", "creatio", "escala"]
KindName = Literal["sending", "exclusions", "tracking", "audience", "recipients", "causes", "errors", "totals"]

#: Adobe's logs that `causes` and `errors` count.
SENDING: Final = "sending"
EXCLUSIONS: Final = "exclusions"
#: Adobe: excluded recipients by reason.
CAUSES: Final = "causes"
#: Adobe: failed recipients by reason. Creatio: the error chart.
ERRORS: Final = "errors"
#: Every view's counts.
TOTALS: Final = "totals"

#: Asked in this order where neither the caller nor the delivery's declaration names a view.
_USUAL: Final = ("efs", "creatio", "escala")


class LogChoice(NamedTuple):
    """What is to be written."""

    view: View
    kind: str

    @property
    def log(self) -> ViewLog | None:
        """The log that it is, or that it counts; None: it comes from the KPIs, and needs no rows."""
        counted = {CAUSES: EXCLUSIONS, ERRORS: SENDING}.get(self.kind, self.kind)
        return next((log for log in self.view.logs if log.name == counted), None)


def kinds_of(view: View) -> tuple[str, ...]:
    """Return what a view has, the most usual first."""
    names = tuple(log.name for log in view.logs)
    if EXCLUSIONS in names:
        names += (CAUSES, ERRORS)
    elif view is creatio.VIEW:
        names += (ERRORS,)
    return (*names, TOTALS)


def choose(view: str | None, kind: str | None, declared: str = "") -> LogChoice:
    """Return what is meant.

    Args:
        view: asked for; None: the delivery's own, or the first usual one that has the kind.
        kind: asked for; None: the view's first log.
        declared: the policy that the delivery was declared with, "" if none.

    Raises:
        UsageError: if the view has no such log.
    """
    names: Iterable[str] = (view,) if view is not None else (declared, *_USUAL)
    for name in filter(None, names):
        chosen = VIEWS[name]
        if kind is None or kind in kinds_of(chosen):
            return LogChoice(chosen, kind or kinds_of(chosen)[0])
    chosen = VIEWS[view or _USUAL[0]]
    raise UsageError(f"the view {chosen.name} has no {kind}, but {', '.join(kinds_of(chosen))}")
