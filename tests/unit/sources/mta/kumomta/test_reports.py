"""Complaints: reports of mailbox providers, and the bounces that come without a recipient."""

from typing import Any

import pytest

from aftersend.sources.base import SourceOptions
from aftersend.sources.parsing.arf import FEEDBACK_TYPES
from tests.unit.sources.mta.kumomta.test_parser import Parse, ParseOne

REFUSED = {
    "code": 550,
    "enhanced_code": {"class": 5, "subject": 1, "detail": 1},
    "content": "<user@example.com>: Recipient address rejected: User unknown in virtual mailbox table",
    "command": "RCPT TO",
}


def report(**changes: object) -> dict[str, Any]:
    usual = {
        "feedback_type": "abuse",
        "user_agent": "Yahoo!-Mail-Feedback/2.0",
        "version": "0.1",
        "arrival_date": "2023-12-14T16:16:15Z",
        "original_mail_from": "test1@example.com",
        "original_rcpto_to": ["user@example.com"],
        "extensions": {},
        "original_message": "To: user@example.com\nX-Campaign: c8\nSubject: test\n\nThis is a test\n",
        "supplemental_trace": {"recipient": "Jane@example.org", "delivery_id": "c9", "test": True, "tenant": "b"},
    }
    return usual | changes


#: The rest of such a record is about the report: whom the provider sent it to, from where.
ABOUT_REPORT: dict[str, Any] = {
    "type": "Feedback",
    "sender": "feedback@arf.mail.example",
    "recipient": "fbl@brand.example",
    "queue": "x:y@brand.example",
    "meta": {},
}


@pytest.mark.parametrize("feedback", FEEDBACK_TYPES, ids=lambda f: f.name)
def test_types_of_reports(feedback: tuple[str, str, str], parse: Parse) -> None:
    name, kind, _ = feedback
    events = parse(**ABOUT_REPORT, feedback_report=report(feedback_type=name))
    assert ([kind] if kind else []) == [event.type for event in events]
    assert all(name == event.reason for event in events)


@pytest.mark.parametrize("name", ["unheard-of", "", None, 7])
def test_a_report_of_no_known_type_is_a_complaint(name: object, parse_one: ParseOne) -> None:
    assert "complained" == parse_one(**ABOUT_REPORT, feedback_report=report(feedback_type=name)).type


def test_complaint(parse_one: ParseOne) -> None:
    event = parse_one(**ABOUT_REPORT, feedback_report=report())
    assert ("complained", "abuse", "Yahoo!-Mail-Feedback/2.0") == (event.type, event.reason, event.diagnostic)
    assert ("jane@example.org", "Jane@example.org", "c9", "b", True) == (
        event.recipient,
        event.address,
        event.delivery_id,
        event.tenant,
        event.test,
    )
    assert (1757675281.440526, 0, "") == (event.occurred_at, event.code, event.enhanced_code)
    assert not event.one_click


def test_opt_out_by_the_mailbox_providers_button_implies_no_open(parse_one: ParseOne) -> None:
    event = parse_one(**ABOUT_REPORT, feedback_report=report(feedback_type="opt-out"))
    assert ("unsubscribed", True) == (event.type, event.one_click)


def test_delivery_of_a_complaint(parse_one: ParseOne) -> None:
    """By trace header, else by the metadata that the policy put on the report, else by configured headers."""
    untraced = report(supplemental_trace=None)
    event = parse_one(**ABOUT_REPORT | {"meta": {"delivery_id": "c7"}}, feedback_report=untraced)
    assert ("c7", "user@example.com") == (event.delivery_id, event.recipient)
    options = SourceOptions(delivery_headers=("X-Other", "X-Campaign"))
    assert "c8" == parse_one(options, **ABOUT_REPORT, feedback_report=untraced).delivery_id
    assert "" == parse_one(**ABOUT_REPORT, feedback_report=untraced).delivery_id


def test_a_complaint_without_a_report_is_the_records_recipients(parse_one: ParseOne) -> None:
    event = parse_one(type="Feedback", feedback_report=None)
    assert ("complained", "user@example.com", "c17") == (event.type, event.recipient, event.delivery_id)


def test_reports_without_an_id_are_told_apart(parse_one: ParseOne) -> None:
    bare: dict[str, Any] = {"id": ..., "timestamp": ..., "event_time": ..., "nodeid": ..., "type": "Feedback"}
    one = parse_one(**bare, feedback_report=report())
    other = parse_one(**bare, feedback_report=report(original_message="To: user@example.com\nSubject: 2\n"))
    assert one.event_id == parse_one(**bare, feedback_report=report()).event_id
    assert one.event_id != other.event_id
    assert 1702570575.0 == one.occurred_at
    assert 0.0 == parse_one(**bare, feedback_report=report(arrival_date="yesterday")).occurred_at


def test_asynchronous_bounce_without_a_recipient(parse_one: ParseOne) -> None:
    """Case 10: kept and counted, as unattributed."""
    nobodies: tuple[object, ...] = ("", None, [], ...)
    for nobody in nobodies:
        event = parse_one(type="OOB", recipient=nobody, response=REFUSED, meta={})
        assert ("hard_bounce", "", "") == (event.type, event.recipient, event.delivery_id)
