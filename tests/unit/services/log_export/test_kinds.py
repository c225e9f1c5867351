"""Selection of the log."""

from typing import get_args

import pytest

from aftersend.errors import UsageError
from aftersend.rules.views import VIEWS
from aftersend.services.log_export.kinds import KindName, ViewName, choose_log, kinds_of


def test_the_names_are_those_of_the_views() -> None:
    assert list(VIEWS) == list(get_args(ViewName))
    assert {kind for view in VIEWS.values() for kind in kinds_of(view)} == set(get_args(KindName))


@pytest.mark.parametrize(
    "view, kind, declared, expected",
    [
        (None, None, "", ("efs", "sending")),
        (None, None, "creatio", ("creatio", "audience")),
        ("v8", None, "creatio", ("v8", "sending")),
        (None, "tracking", "creatio", ("efs", "tracking")),
        (None, "audience", "v8", ("creatio", "audience")),
        (None, "recipients", "", ("escala", "recipients")),
        (None, "errors", "creatio", ("creatio", "errors")),
        ("escala", "totals", "", ("escala", "totals")),
    ],
)
def test_view_and_log_have_defaults(
    view: str | None, kind: str | None, declared: str, expected: tuple[str, str]
) -> None:
    """The policy of the delivery if it has such a log; otherwise the first default view that has."""
    choice = choose_log(view, kind, declared)

    assert expected == (choice.view.name, choice.kind)


def test_a_view_that_has_no_such_log() -> None:
    with pytest.raises(UsageError, match="the view escala has no log 'sending', only recipients, totals"):
        choose_log("escala", "sending")


def test_every_total_counts_rows_of_a_log() -> None:
    names = {kind: choose_log("efs", kind).log for kind in ("causes", "errors", "sending", "totals")}

    assert {"causes": "exclusions", "errors": "sending", "sending": "sending", "totals": None} == {
        kind: log and log.name for kind, log in names.items()
    }
    assert choose_log("creatio", "errors").log is None
