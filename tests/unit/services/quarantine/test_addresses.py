"""Selection of addresses, and the records of their release."""

from typing import Any

import pytest

from aftersend.rules.contact.quarantine import address_status
from aftersend.schemas.contact import Contact, ContactError
from aftersend.services.quarantine.addresses import QuarantineEntry, QuarantineFilter, as_json, by_error, error_text
from aftersend.services.quarantine.release import ReleaseRequest, records
from aftersend.sources.base import SourceOptions
from aftersend.sources.own.operations import SOURCE

NOW = 1_757_851_200.0
DAY = 86_400.0
ERROR = ContactError(NOW - DAY, "InvalidRecipient", 550, "5.1.1", "550 5.1.1 User Unknown: Mailbox gone", "spring")


def contact(**fields: Any) -> Contact:
    made: dict[str, Any] = {"error": ERROR, "quarantined_at": NOW - DAY}
    return Contact(1, "jane@example.org", **made | fields)


def entry(**fields: Any) -> QuarantineEntry:
    one = contact(**fields)
    return QuarantineEntry(one, address_status(one, NOW))


@pytest.mark.parametrize(
    "filters, meant",
    [
        ({}, True),
        ({"reason": "user unknown"}, True),
        ({"reason": "5.1.1"}, True),
        ({"reason": "invalidrecipient"}, True),
        ({"reason": "mailbox full"}, False),
        ({"since": NOW - DAY}, True),
        ({"since": NOW - DAY + 1}, False),
        ({"until": NOW}, True),
        ({"until": NOW - DAY}, False),
        ({"state": "erroneous"}, False),
        ({"state": "denylisted"}, False),
    ],
)
def test_filters(filters: dict[str, Any], meant: bool) -> None:
    one = entry()
    assert meant == QuarantineFilter(**filters).matches(one)


def test_addresses_with_a_complaint_are_not_released() -> None:
    one = entry(cause="complained", cause_at=NOW)
    assert not QuarantineFilter().matches(one)
    assert QuarantineFilter(state="denylisted").matches(one)


def test_an_error_has_a_description() -> None:
    assert "InvalidRecipient 550 5.1.1 User Unknown: Mailbox gone" == error_text(contact())
    assert "" == error_text(contact(error=None))


def test_addresses_are_counted_by_domain_and_error() -> None:
    assert {("example.org", "InvalidRecipient"): 2} == by_error([entry(), entry()])


def test_a_release_is_a_record_that_its_source_can_read() -> None:
    decision = ReleaseRequest(at=NOW, by="ops", why="outage", batch="b")
    (record,) = records([entry()], decision)
    (event,) = SOURCE.parser(SourceOptions())(record.value)

    assert ("operations", b"jane@example.org", int(NOW * 1000)) == (record.source, record.key, record.timestamp_ms)
    assert ("released", "jane@example.org", NOW, "ops", "outage", "b") == (
        event.type,
        event.recipient,
        event.occurred_at,
        event.reason,
        event.diagnostic,
        event.detail,
    )


def test_a_release_is_never_earlier_than_the_error() -> None:
    (record,) = records([entry()], ReleaseRequest(at=NOW - 2 * DAY, by="ops", why="outage", batch="b"))
    (event,) = SOURCE.parser(SourceOptions())(record.value)
    assert NOW - DAY == event.occurred_at


def test_the_json_object_has_every_field() -> None:
    result = as_json(entry(address="Jane@Example.org"))
    assert ("jane@example.org", "Jane@Example.org", "quarantined", None) == (
        result["recipient"],
        result["address"],
        result["standing"],
        result["until"],
    )
    assert ("2025-09-13T12:00:00.000Z", "5.1.1") == (result["error"]["at"], result["error"]["enhanced_code"])
