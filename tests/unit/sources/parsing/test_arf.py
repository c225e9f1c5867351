"""Who complained, by what a report says."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aftersend.sources.parsing.arf import Evidence, Report
from aftersend.sources.parsing.arf import read_report as read_report_with

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=6,
)
HASH = "cb4a01a48251d4765f489076aa81e2a4@comcast.net"


def read_report(report: Report) -> Evidence:
    return read_report_with(report, "x-kumoref")


def message(**headers: str) -> str:
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\n".join([*lines, "", "To: body@example.com"])


@pytest.mark.parametrize(
    "fields,recipient",
    [
        # The sender's own trace is believed first, then whom to remove, then whom the provider names, then the To.
        ({"supplemental_trace": {"recipient": "a@x.org"}, "original_rcpto_to": ["b@x.org"]}, "a@x.org"),
        ({"supplemental_trace": {"recipient": ["a@x.org"]}}, "a@x.org"),
        ({"extensions": {"removal-recipient": ["<c@x.org>"]}, "original_rcpto_to": ["b@x.org"]}, "c@x.org"),
        ({"original_rcpto_to": ["<b@x.org>"], "original_message": message(To="d@x.org")}, "b@x.org"),
        ({"original_message": message(Subject="x", To="D <d@x.org>")}, "d@x.org"),
        # Redacted (RFC 6590).
        ({"original_rcpto_to": [HASH], "original_message": message(To="d@x.org")}, "d@x.org"),
        ({"original_rcpto_to": ["redacted@x.org"], "original_message": message(TO="d@x.org")}, "d@x.org"),
        ({"original_rcpto_to": [HASH]}, HASH),
        # One message to several: who of them?
        ({"supplemental_trace": {"recipient": ["a@x.org", "b@x.org"]}, "original_rcpto_to": ["B@x.org"]}, "b@x.org"),
        ({"supplemental_trace": {"recipient": ["a@x.org", "b@x.org"]}}, ""),
        ({"original_message": message(To="a@x.org, b@x.org")}, ""),
        # Nothing that could be an address.
        ({"original_message": message(To="<Undisclosed Recipients>")}, ""),
        ({"original_message": message(To="nobody at x.org @")}, ""),
        ({"original_message": "\n\nTo: body@example.com"}, ""),
        ({"original_rcpto_to": ["a\tb@x.org"]}, ""),
        ({}, ""),
    ],
)
def test_recipient(fields: dict[str, Any], recipient: str) -> None:
    assert recipient == read_report(Report(**fields)).recipient


def test_the_trace_header_is_read_where_kumomta_did_not() -> None:
    """Folded as it comes, and whatever the case of its name."""
    trace = {"_@_": "\\_/", "recipient": "a@x.org", "delivery_id": "c1"}
    coded = base64.b64encode(json.dumps(trace).encode()).decode()
    original = f"From: x\r\nx-kumoref: {coded[:20]}\r\n\t{coded[20:]}\r\nTo: d@x.org\r\n\r\n"
    evidence = read_report(Report(original_message=original))
    assert ("a@x.org", trace) == (evidence.recipient, evidence.trace)


@pytest.mark.parametrize("value", ["not base64!", "", "W10=", "eyI=", "////"])
def test_a_trace_header_that_cannot_be_read_says_nothing(value: str) -> None:
    evidence = read_report(Report(original_message=message(X_KumoRef=value, To="d@x.org")))
    assert ("d@x.org", {}) == (evidence.recipient, evidence.trace)


def test_a_message_as_bytes() -> None:
    """KumoMTA writes what is not UTF-8 as a list of byte values."""
    original = list("Subject: Grüße\nX-Campaign: c8\nTo: d@x.org\n\n".encode("latin-1"))
    evidence = read_report(Report(original_message=original))
    assert ("d@x.org", "c8", "Grüße") == (
        evidence.recipient,
        evidence.headers["x-campaign"],
        evidence.headers["subject"],
    )


def test_headers_are_unfolded_and_the_first_one_counts() -> None:
    original = " orphan\nSubject: a\n b\nsubject: c\n d\nno colon\n\nbody: x"
    assert {"subject": "a b", "no colon": ""} == read_report(Report(original_message=original)).headers


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(Report.__struct_fields__, JSON)))
def test_junk_says_nothing(fields: dict[str, Any]) -> None:
    assert isinstance(read_report(Report(**fields)).recipient, str)
