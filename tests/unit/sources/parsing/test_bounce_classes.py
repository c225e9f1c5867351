"""What a failed delivery means for the recipient."""

import json
import re
import tomllib
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aftersend.sources.parsing.bounce_classes import (
    CLASSES,
    CODE_OUTCOMES,
    STATUS_CLASSES,
    UNCATEGORIZED,
    Status,
    outcome,
    reason,
)

TYPES = {"hard_bounce", "soft_bounce", "rejected", "invalid_address", "failed", "autoresponded", "unsubscribed"}
#: The classifier's classes, by KumoMTA's documentation.
KUMO_CLASSES = {
    "InvalidRecipient",
    "DNSFailure",
    "SpamBlock",
    "SpamContent",
    "ProhibitedAttachment",
    "RelayDenied",
    "AutoReply",
    "TransientFailure",
    "Subscribe",
    "Unsubscribe",
    "ChallengeResponse",
    "BadConfiguration",
    "BadConnection",
    "BadDomain",
    "ContentRelated",
    "InactiveMailbox",
    "InvalidSender",
    "MessageExpired",
    "NoAnswerFromHost",
    "PolicyRelated",
    "ProtocolErrors",
    "QuotaIssues",
    "RelayingIssues",
    "RoutingErrors",
    "SpamRelated",
    "VirusRelated",
    "AuthenticationFailed",
    "TooManyRecipients",
}


def test_every_class_of_the_classifier_is_there_once() -> None:
    assert sorted(KUMO_CLASSES) == sorted(c.name for c in CLASSES)
    assert {c.type for c in CLASSES} <= TYPES
    assert {s.name for s in STATUS_CLASSES} <= KUMO_CLASSES
    assert {o.name for o in CODE_OUTCOMES} <= KUMO_CLASSES | {UNCATEGORIZED}


@pytest.mark.parametrize("bounce_class", CLASSES, ids=lambda c: c.name)
def test_a_class_decides(bounce_class: tuple[str, str, str]) -> None:
    """Whatever the codes say, as long as they are permanent."""
    name, kind, _ = bounce_class
    assert (kind, name) == outcome(name, 550, None)
    assert (kind, name) == outcome(name, 0, None)
    temporary = "soft_bounce" if kind == "hard_bounce" else kind
    assert (temporary, name) == outcome(name, 450, Status(4, 0, 0))


@pytest.mark.parametrize("name", ["AutoReply", "Subscribe", "Unsubscribe", "ChallengeResponse"])
def test_an_automatic_answer_is_no_delivery_failure(name: str) -> None:
    """Case 13: SparkPost's classes 60, 80, 90 and 100."""
    assert outcome(name, 550, None)[0] in {"autoresponded", "unsubscribed"}


@pytest.mark.parametrize(
    "label,code,status,expected",
    [
        # The benchmark's bounces.
        (UNCATEGORIZED, 550, Status(2, 0, 0), ("hard_bounce", UNCATEGORIZED)),
        (UNCATEGORIZED, 541, Status(2, 0, 0), ("soft_bounce", UNCATEGORIZED)),
        # By enhanced code.
        (None, 550, Status(5, 1, 1), ("hard_bounce", "InvalidRecipient")),
        (None, 501, Status(5, 1, 3), ("invalid_address", "InvalidRecipient")),
        ("InvalidRecipient", 553, Status(5, 1, 3), ("invalid_address", "InvalidRecipient")),
        (None, 450, Status(4, 1, 3), ("soft_bounce", "InvalidRecipient")),
        (None, 554, Status(5, 7, 1), ("rejected", "AuthenticationFailed")),
        (None, 421, Status(4, 7, 0), ("soft_bounce", UNCATEGORIZED)),
        (None, 552, Status(5, 2, 2), ("soft_bounce", "QuotaIssues")),
        (None, 556, Status(5, 1, 10), ("hard_bounce", "BadDomain")),
        (None, 554, Status(5, 5, 2), ("failed", "ProtocolErrors")),
        (None, 551, Status(5, 4, 7), ("soft_bounce", "MessageExpired")),
        # Microsoft's unknown recipient.
        (None, 550, Status(5, 4, 1), ("hard_bounce", UNCATEGORIZED)),
        # By SMTP code.
        (None, 550, Status(5, 0, 0), ("hard_bounce", UNCATEGORIZED)),
        (None, 550, Status(4, 0, 0), ("soft_bounce", UNCATEGORIZED)),
        ("", 552, None, ("soft_bounce", "QuotaIssues")),
        (None, 503, None, ("failed", "ProtocolErrors")),
        (None, 535, None, ("rejected", "AuthenticationFailed")),
        # Case 14: codes that nobody knows.
        (None, 599, None, ("soft_bounce", UNCATEGORIZED)),
        (None, 250, None, ("soft_bounce", UNCATEGORIZED)),
        (None, 0, None, ("soft_bounce", UNCATEGORIZED)),
        (None, 0, Status(5, 0, 0), ("hard_bounce", UNCATEGORIZED)),
        (None, 0, Status(4, 0, 0), ("soft_bounce", UNCATEGORIZED)),
        # The sender's own labels: his name, the type by the codes.
        ("OurBlocklist", 550, Status(5, 7, 1), ("rejected", "OurBlocklist")),
        ("OurBlocklist", 550, None, ("hard_bounce", "OurBlocklist")),
        ("OurBlocklist", 0, None, ("soft_bounce", "OurBlocklist")),
    ],
)
def test_outcome(label: str | None, code: int, status: Status | None, expected: tuple[str, str]) -> None:
    assert expected == outcome(label, code, status)


@given(
    st.sampled_from([*sorted(KUMO_CLASSES), UNCATEGORIZED, "Other", "", None]),
    st.integers(0, 9999),
    st.none() | st.builds(Status, st.integers(0, 999), st.integers(0, 999), st.integers(0, 999)),
)
def test_every_failure_has_an_outcome(label: str | None, code: int, status: Status | None) -> None:
    kind, name = outcome(label, code, status)
    assert kind in TYPES
    assert name
    if code // 100 == 4:
        assert kind not in {"hard_bounce", "invalid_address"}


def _rules(path: Path) -> list[tuple[str, re.Pattern[str]]]:
    rules = tomllib.loads(path.read_text())["rules"]
    return [(name, re.compile(rule)) for name, expressions in rules.items() for rule in expressions]


def test_codes_mean_what_the_classifier_makes_of_them(corpus: Path) -> None:
    """Wherever KumoMTA's `iana.toml` knows a class for the codes, ours is the same."""
    rules = _rules(corpus / "mta/kumomta/bounce_classifier/iana.toml")
    differ = set()
    for code, kind, subject, detail in product((*range(420, 460), *range(500, 560)), (4, 5), range(8), range(41)):
        line = f"{code} {kind}.{subject}.{detail} text"
        theirs = next((name for name, rule in rules if rule.search(line)), None)
        ours = reason(None, code, Status(kind, subject, detail))
        if theirs is not None and theirs != ours:
            differ.add((f"x.{subject}.{detail}", theirs, ours))
    # Their line for it comes after the one for x.5.*, and is never reached.
    assert {("x.5.3", "ProtocolErrors", "TooManyRecipients")} == differ


def test_the_classifiers_own_cases(corpus: Path) -> None:
    lines = (corpus / "mta/kumomta/bounce_classifier/expected.jsonl").read_text().splitlines()
    assert 7 == len(lines)
    for case in map(json.loads, lines):
        code, status, _ = case["response"].split(" ", 2)
        assert case["class"] == reason(None, int(code), Status(*map(int, status.split(".")))), case


def test_classes_of_both_rule_files_are_known(corpus: Path) -> None:
    for file in ("iana.toml", "bounces.toml"):
        rules = tomllib.loads((corpus / "mta/kumomta/bounce_classifier" / file).read_text())["rules"]
        assert set(rules) <= KUMO_CLASSES
