"""The tables of `docs/domain.md` are those of the code."""

import re

import pytest

from aftersend.rules.contact.fold import _CAUSE_RANK
from aftersend.rules.contact.suppression import NOT_SENT_REASON_OF
from aftersend.rules.contact.validity import REASONS
from aftersend.rules.kpi.alerts import THRESHOLDS
from aftersend.rules.kpi.indicators import INDICATORS, RATES, TOTALS
from aftersend.rules.recipient.decisions import COUNTED, DECISION_NAMES
from aftersend.rules.recipient.facts import FACT_NAMES, HANDED_OVER, Fact, names_of_facts
from aftersend.rules.recipient.kinds import KIND_NAME, KINDS, UNKNOWN
from aftersend.rules.recipient.statuses import (
    EXPIRES_TO,
    NOT_SENT,
    NOT_SENT_EXPIRED,
    STATUS_NAME,
    STATUS_TERMINAL,
    STATUSES,
)
from aftersend.rules.views import VIEWS
from aftersend.rules.views.adobe.view import POLICIES, DeliveryStage
from aftersend.schemas.event import EVENT_TYPES, NOT_SENT_REASONS
from aftersend.sources.bounds import EVENT_ID_BYTES, KEY_BYTES, SMALL_EVENT_BYTES, TEXT_BYTES
from tests.paths import DOCS

PAGE = (DOCS / "domain.md").read_text(encoding="utf-8")


def section(number: str) -> str:
    """Return the text of a section, without its subsections."""
    (text,) = re.findall(rf"^#+ §{re.escape(number)} .*?\n(.*?)(?=^#|\Z)", PAGE, re.DOTALL | re.MULTILINE)
    return str(text)


def table(number: str, first: str) -> list[list[str]]:
    """Return the lines of the section's table whose heading begins with a word, without backticks."""
    (text,) = re.findall(rf"^\| {first} \|.*\n\|[-|]+\n((?:\|.*\n)+)", section(number), re.MULTILINE)
    return [[cell.strip().replace("`", "") for cell in line.strip("|").split("|")] for line in text.splitlines()]


def test_every_kind_is_in_the_table_with_its_status_and_facts() -> None:
    said = {line[1]: (line[2].replace("none", ""), line[3].replace("none", "")) for line in table("1.1", "type")}
    kinds = [kind for kind in KINDS if kind.number <= NOT_SENT and kind.name != "expired"]
    expected = {
        kind.name: (STATUS_NAME[kind.status] if kind.status else "", ", ".join(names_of_facts(kind.facts)))
        for kind in kinds
    }

    assert expected | {"not_sent_<reason>": ("not_sent_<reason>", "not_sent")} == said


def test_every_event_type_is_in_the_table() -> None:
    assert set(EVENT_TYPES) == {re.split(r"[ ,]", line[0])[0] for line in table("1.1", "type")}


def test_every_reason_for_not_sending_is_named() -> None:
    assert [] == [reason for reason in NOT_SENT_REASONS if f"`{reason}`" not in section("1.1")]


def test_the_bounds_of_every_string() -> None:
    expected = [[name, str(most), "the event can't be read"] for name, most in KEY_BYTES.items()]
    expected += [["event_id", str(EVENT_ID_BYTES), "replaced by its hash"]]
    expected += [[name, f"{most:,}", "cut"] for name, most in TEXT_BYTES.items()]

    assert expected == table("1.6", "field")
    assert f"more than {SMALL_EVENT_BYTES:,} encoded bytes" in section("1.6")


def test_statuses_and_ranks() -> None:
    said = {line[0]: (int(line[1]), line[2] == "yes") for line in table("2.1", "status")}
    named = {
        f"{status.name}, final" if (status.name, status.terminal) == ("soft_bounce", True) else status.name: (
            status.rank,
            status.terminal,
        )
        for status in STATUSES
        if status.number < NOT_SENT
    }

    assert named | {"not_sent_<reason>": (1000, True)} == said


def test_which_statuses_mean_delivered() -> None:
    said = {line[0] for line in table("2.1", "status") if line[3] == "yes"}

    assert {STATUS_NAME[kind.status] for kind in KINDS if kind.facts & Fact.DELIVERED} == said


def test_the_rank_of_an_unknown_event() -> None:
    (kind,) = (kind for kind in KINDS if kind.number == UNKNOWN)

    assert f"its rank as an event is {kind.rank}," in section("1.2")


def test_every_decision_and_whether_it_counts() -> None:
    said = {line[0]: line[3] == "yes" for line in table("2.2", "decision")}

    assert {name: number in COUNTED for number, name in enumerate(DECISION_NAMES)} == said


def test_every_fact() -> None:
    assert list(FACT_NAMES) == [line[0] for line in table("2.3", "fact")]


def test_what_the_end_of_a_wait_does() -> None:
    def shown(status: int) -> str:
        twofold = "final" if STATUS_TERMINAL[status] else "not final"
        return f"soft_bounce, {twofold}" if STATUS_NAME[status] == "soft_bounce" else STATUS_NAME[status]

    def fact(before: int, after: int) -> str:
        return "given_up" if before == after else "validity_over" if after == NOT_SENT_EXPIRED else "expired"

    expected = [[STATUS_NAME[before], shown(after), fact(before, after)] for before, after in EXPIRES_TO.items()]

    assert expected == table("2.7", "status")


def test_the_weights_of_causes() -> None:
    assert {name: rank for name, rank in _CAUSE_RANK.items() if name} == {
        line[0]: int(line[1]) for line in table("3.1", "cause")
    }


def test_the_reasons_of_invalid_addresses() -> None:
    assert {name: ", ".join(classes) for name, classes in REASONS.items()} == dict(table("3.2", "reason"))


def test_the_reasons_of_suppression() -> None:
    assert NOT_SENT_REASON_OF == {line[0]: line[2] for line in table("3.6", "reason")}


def test_every_kpi() -> None:
    assert [indicator.name for indicator in INDICATORS] == [line[0] for line in table("4.1", "KPI")]
    assert [total.name for total in TOTALS] == [line[0] for line in table("4.1", "total")]


def test_every_fact_that_implies_sent_is_named() -> None:
    named = re.findall(r"`(\w+)`", section("4.3").split("A row is sent if it has", 1)[1].split(".", 1)[0])

    assert names_of_facts(HANDED_OVER) == sorted(named, key=FACT_NAMES.index)


def test_every_rate() -> None:
    assert [list(rate) for rate in RATES] == table("4.2", "rate")


def test_every_view_is_named() -> None:
    assert [] == [name for name in VIEWS if f"`{name}`" not in section("5")]


@pytest.mark.parametrize("column, policy", [(2, 0), (3, 1), (4, 2), (2, 3)])
def test_the_policies_of_adobe_campaign(column: int, policy: int) -> None:
    said = {line[0].upper().replace(" ", "_"): line[column] for line in table("5.1", "stage")}

    assert {stage.name: POLICIES[policy].results[stage].status for stage in DeliveryStage} == said


def test_every_alert() -> None:
    expected = [[t.name, t.numerator, t.denominator, f"{t.limit * 100:g} %", f"{t.minimum:,}"] for t in THRESHOLDS]

    assert expected == table("5.4", "alert")


def test_every_case_is_a_test() -> None:
    cases = re.findall(r"^(\d+)\. ", section("9"), re.MULTILINE)

    assert [str(number) for number in range(1, 22)] == cases


def test_kinds_have_a_name() -> None:
    """A kind without one would be missing from the table unnoticed."""
    assert [] == [kind for kind in KINDS if not KIND_NAME[kind.number]]
