"""Adobe Campaign's failure reasons, and the sending, exclusion and tracking logs."""

from typing import Any

import pytest
from hypothesis import given

from aftersend.rules.views import VIEWS
from aftersend.rules.views.adobe.reasons import REASONS, reason_of
from aftersend.schemas.event import NOT_SENT_REASONS, FoldEvent
from aftersend.sources.parsing.bounce_classes import CLASSES
from tests.unit.rules.factories import START, event
from tests.unit.rules.views.factories import OVER, row_of
from tests.unit.rules.views.test_properties import some_steps

LOGS = {log.name: log for log in VIEWS["efs"].logs}


def reason(type_: str, **fields: Any) -> tuple[int, str] | None:
    found = reason_of(row_of("planned", event(type_, 1, **fields)))
    return None if found is None else (found.value, found.type)


def test_the_reasons_are_those_of_the_product() -> None:
    assert [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 20, 25, 127] == [r.value for r in REASONS]


BY_CLASS = [
    ("hard_bounce", "InvalidRecipient", (1, "Hard")),
    ("hard_bounce", "BadDomain", (2, "Soft")),
    ("soft_bounce", "DNSFailure", (2, "Soft")),
    ("deferred", "NoAnswerFromHost", (3, "Soft")),
    ("failed", "ProtocolErrors", (3, "Hard")),
    ("hard_bounce", "InactiveMailbox", (4, "Hard")),
    ("soft_bounce", "InactiveMailbox", (4, "Soft")),
    ("soft_bounce", "QuotaIssues", (5, "Soft")),
    ("rejected", "SpamBlock", (20, "Hard")),
    ("deferred", "SpamBlock", (20, "Soft")),
]


@pytest.mark.parametrize("type_, name, expected", BY_CLASS)
def test_by_class(type_: str, name: str, expected: tuple[int, str]) -> None:
    """Reasons that may be soft or hard are hard where the row failed for good."""
    assert expected == reason(type_, reason=name, code=550, enhanced_code="5.7.1")


@pytest.mark.parametrize("name", [c.name for c in CLASSES if c.type not in {"autoresponded", "unsubscribed"}])
def test_every_class_of_the_sources_has_a_reason(name: str) -> None:
    """Without codes, and with a status that alone says nothing."""
    found = reason("failed", reason=name)

    assert found is not None
    assert found[0] > 0


BY_CODES = [
    ("hard_bounce", 550, "5.1.1", 1),
    ("hard_bounce", 550, "5.1.10", 2),
    ("soft_bounce", 452, "4.2.2", 5),
    ("hard_bounce", 550, "5.2.1", 4),
    ("deferred", 451, "4.4.2", 3),
    ("rejected", 554, "5.7.26", 20),
    ("soft_bounce", 552, "", 5),
    ("deferred", 421, "", 3),
    ("deferred", 999, "9.9", 3),
    ("hard_bounce", 0, "", 1),
    ("rejected", 0, "", 20),
    ("invalid_address", 0, "", 7),
    ("failed", 0, "", 0),
]


@pytest.mark.parametrize("type_, code, enhanced, value", BY_CODES)
def test_by_codes_where_the_class_says_nothing(type_: str, code: int, enhanced: str, value: int) -> None:
    found = reason(type_, reason="Uncategorized", code=code, enhanced_code=enhanced)

    assert found is not None
    assert value == found[0]


EXCLUSIONS = {
    "no_address": 7,
    "invalid_address": 7,
    "incorrect_address": 7,
    "unsubscribed": 8,
    "unsubscribed_from_type": 8,
    "previously_complained": 8,
    "previously_bounced": 9,
}


@pytest.mark.parametrize("name", [r for r in NOT_SENT_REASONS if r != "duplicate_address"])
def test_causes_of_exclusions(name: str) -> None:
    found = reason("not_sent", reason=name)

    assert found is not None
    assert EXCLUSIONS.get(name, 0) == found[0]


def test_a_control_address_is_told_as_such() -> None:
    assert (127, "") == reason("sent", test=True)


def test_who_has_not_failed_has_no_reason() -> None:
    assert reason_of(row_of("sent", "delivered")) is None


REASONED = ("status", "reason_value", "reason", "reason_type", "earlier_reason", "earlier_diagnostic")


def sending(view: str, *steps: str | FoldEvent) -> tuple[Any, ...]:
    """Return what the sending log says of the reason of a row after some steps."""
    line = next(log for log in VIEWS[view].logs if log.name == "sending").line("r@example.org", row_of(*steps))
    assert line is not None
    return tuple(line[name] for name in REASONED)


def test_a_wait_that_ended_in_vain_has_the_reason_not_defined() -> None:
    assert ("Failed", 0, "Not defined", "", "", "") == sending("efs", "sent", OVER)
    assert ("Failed", 0, "Not defined", "", "", "") == sending("v8", "sent", OVER)
    assert ("Sent", None, "", "", "", "") == sending("without-efs", "sent", OVER), "no failure of this policy"


FULL = event("deferred", 1, reason="QuotaIssues", diagnostic="452 4.2.2 mailbox full")


@pytest.mark.parametrize("view", ["without-efs", "efs", "v8", "enhanced-mta"])
@pytest.mark.parametrize("success", ["delivered", "opened", "clicked", "unsubscribed", "complained"])
def test_a_failure_that_a_retry_made_good_is_apart_from_the_reason(view: str, success: str) -> None:
    assert ("Sent", None, "", "", "Mailbox full", "452 4.2.2 mailbox full") == sending(view, "sent", FULL, success)


@pytest.mark.parametrize("view", ["without-efs", "efs", "v8", "enhanced-mta"])
@given(some_steps)
def test_nobody_whom_the_log_shows_as_sent_or_pending_has_a_reason(view: str, steps: list[str | FoldEvent]) -> None:
    """So filtering by reason lists failures only."""
    row = row_of(*steps)
    line = next(log for log in VIEWS[view].logs if log.name == "sending").line("r@example.org", row)

    if line is not None and line["status"] in {"Sent", "Pending"}:
        assert (None, "", "", "") == (*(line[name] for name in REASONED[1:4]), line["diagnostic"])


@pytest.mark.parametrize("view", ["efs", "without-efs", "enhanced-mta", "v8"])
@given(some_steps)
def test_whoever_failed_or_was_left_out_has_a_reason(view: str, steps: list[str | FoldEvent]) -> None:
    row = row_of(*steps)
    lines = [log.line("r@example.org", row) for log in VIEWS[view].logs if log.name in {"sending", "exclusions"}]

    for line in lines:
        if line is not None and line.get("status", "Excluded") in {"Failed", "Excluded"}:
            assert line["reason"], line


def test_v8_changes_the_reason_with_a_soft_bounce_though_not_the_status() -> None:
    """Table of `docs/domain.md §5.1`: "no status change, reason updated"."""
    row = row_of("sent", event("deferred", 1, reason="QuotaIssues"))
    line = next(log for log in VIEWS["v8"].logs if log.name == "sending").line("r@example.org", row)

    assert line is not None
    assert ("Taken into account by the service provider", 5) == (line["status"], line["reason_value"])


def test_the_sending_log() -> None:
    row = row_of(
        "sent", event("hard_bounce", 1, reason="InvalidRecipient", diagnostic="no such user", address="R@x.org")
    )

    assert {
        "address": "R@x.org",
        "status": "Failed",
        "reason_value": 1,
        "reason": "User unknown",
        "reason_type": "Hard",
        "diagnostic": "no such user",
        "earlier_reason": "",
        "earlier_diagnostic": "",
        "status_at": START + 1,
        "updated_at": START + 1,
    } == LOGS["sending"].line("r@x.org", row)


def test_the_exclusion_log_has_who_is_not_in_the_sending_log() -> None:
    excluded = row_of("planned", event("not_sent", 1, reason="previously_bounced"))
    stopped = row_of("sent", event("not_sent", 1, reason="stopped"))

    assert {
        "address": "r@x.org",
        "reason_value": 9,
        "reason": "Quarantined",
        "reason_type": "Hard",
        "status_at": START + 1,
        "updated_at": START + 1,
    } == LOGS["exclusions"].line("r@x.org", excluded)
    assert LOGS["sending"].line("r@x.org", excluded) is None
    assert LOGS["exclusions"].line("r@x.org", stopped) is None
    assert LOGS["sending"].line("r@x.org", stopped) is not None


def test_the_tracking_log() -> None:
    row = row_of("sent", event("opened", 5), event("opened", 9), event("clicked", 7), event("opened", 3, machine=True))

    assert {
        "address": "r@x.org",
        "opens": 2,
        "machine_opens": 1,
        "first_opened_at": START + 5,
        "last_opened_at": START + 9,
        "clicks": 1,
        "first_clicked_at": START + 7,
        "last_clicked_at": START + 7,
    } == LOGS["tracking"].line("r@x.org", row)
    assert LOGS["tracking"].line("r@x.org", row_of("sent", "delivered")) is None


@pytest.mark.parametrize("view", ["without-efs", "efs", "v8", "enhanced-mta"])
def test_each_policy_logs_its_own_status(view: str) -> None:
    row = row_of("sent", "deferred", OVER)
    shown = VIEWS[view].status_of(row.facts, row.status).name
    line = VIEWS[view].logs[0].line("r@x.org", row)

    assert line is not None
    assert shown == line["status"]
