"""The pages for those who come from another product say what the code does."""

import re

import pytest

from aftersend.rules.kpi.alerts import THRESHOLDS
from aftersend.rules.views import VIEWS
from aftersend.rules.views.adobe.reasons import ERROR_IGNORED, NOT_CONNECTED, REASONS
from aftersend.rules.views.adobe.view import POLICIES, DeliveryStage
from aftersend.rules.views.creatio import RESPONSES
from aftersend.rules.views.escala.card import FOUR_REASONS
from tests.paths import DOCS

PRODUCTS = DOCS / "reference" / "views"


def page(name: str) -> str:
    return (PRODUCTS / f"{name}.md").read_text(encoding="utf-8")


def rows(name: str, columns: int) -> list[list[str]]:
    """Return the cells of a page's tables of so many columns, headings included."""
    lines = [line.strip("|").split("|") for line in page(name).splitlines() if line.startswith("| ")]
    return [[bucket.strip() for bucket in line] for line in lines if len(line) == columns]


def test_every_view_is_explained() -> None:
    policies = {line[0].strip("`"): line[1] for line in rows("adobe-campaign", 2)}

    assert {policy.name for policy in POLICIES} <= policies.keys()
    assert {"creatio", "escala"} == VIEWS.keys() - policies.keys()
    assert all(re.search(rf"--view\s{name}`", page(name)) for name in ("creatio", "escala"))


#: The words of the page's policy table, by step.
STEPS = {
    DeliveryStage.RELAYED: "relayed to the MTA",
    DeliveryStage.DELIVERED: "delivery confirmed",
    DeliveryStage.BOUNCED: "hard bounce",
    DeliveryStage.SOFT_BOUNCED: "soft bounce",
    DeliveryStage.GIVEN_UP: "retries exhausted",
    DeliveryStage.NO_OUTCOME: "validity period over",
    DeliveryStage.STOPPED: "taken out",
}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("column, policy", [(1, 0), (2, 1), (3, 2)])
def test_the_policy_table_names_each_change_of_status(step: DeliveryStage, column: int, policy: int) -> None:
    """A step's status, unless it is that of a relayed message already (or, when retries are exhausted, of a bounce)."""
    of = POLICIES[policy]
    (line,) = [line for line in rows("adobe-campaign", 4) if line[0].startswith(STEPS[step])]
    before = {DeliveryStage.RELAYED: DeliveryStage.PREPARED, DeliveryStage.GIVEN_UP: DeliveryStage.SOFT_BOUNCED}.get(
        step, DeliveryStage.RELAYED
    )
    changed = of.results[step].status != of.results[before].status or step is DeliveryStage.RELAYED

    assert (of.results[step].status if changed else "no change") == re.split("[;(]", line[column])[0].strip()


def test_every_failure_reason_is_explained() -> None:
    actual = {line[0].split(",")[0]: line[1] for line in rows("adobe-campaign", 3)}

    assert {str(r.value): r.name for r in REASONS if r not in {NOT_CONNECTED, ERROR_IGNORED}}.items() <= actual.items()


def test_every_response_is_explained() -> None:
    actual = {line[0]: line[3] for line in rows("creatio", 4)}
    plain = [response for response in RESPONSES if "(" not in response.name or response.name == "Open (machine)"]

    for response in plain:
        effects = ["do not use email"] * response.sets_do_not_email + ["not valid"] * response.clears_valid
        assert "; ".join(effects) == actual[response.name]
    assert {"Canceled (…)", "Stopped (manually), Stopped (time to send expired)"} <= actual.keys()


def test_every_reason_on_the_card_is_explained() -> None:
    actual = {line[0].removeprefix("not sent: "): line[1] for line in rows("escala", 2)}

    for reason, shown in FOUR_REASONS.items():
        assert f"`{reason}`" in actual[shown]


def test_every_threshold_is_explained() -> None:
    actual = {line[0].strip("`"): (line[3], int(re.sub(r"\D", "", line[4]))) for line in rows("escala", 5)[1:]}

    assert {t.name: (f"{t.limit * 100:g} %", t.minimum) for t in THRESHOLDS} == actual
