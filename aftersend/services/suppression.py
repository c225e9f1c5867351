"""Suppression check of a list of addresses: returns for each address whether it may be mailed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from aftersend.config.settings import Settings
from aftersend.rules.contact.suppression import (
    INVALID,
    NOT_SENT_REASON_OF,
    SuppressionReason,
    SuppressionResult,
    check,
)
from aftersend.schemas.times import iso
from aftersend.services.audience.file import AudienceFile
from aftersend.services.contacts import read_wanted
from aftersend.services.progress import ShowProgress

#: Columns of the CSV output.
COLUMNS: Final = ("address", "recipient", "may_be_mailed", "reason", "since", "delivery_id", "all_reasons")
_NOT_AN_ADDRESS: Final = SuppressionResult((SuppressionReason(INVALID),))


class AddressQuery(NamedTuple):
    """One address to check."""

    #: As in the input.
    spelled: str
    #: Normalised; "" if the value is not exactly one address.
    recipient: str


def read_addresses(file: AudienceFile) -> Iterator[AddressQuery]:
    """Yield the addresses of a file, in its order; blank lines are left out.

    Raises:
        UsageError: if the rest of the file is not like its beginning.
    """
    for line in file.lines():
        yield AddressQuery(line.spelled, line.recipient)


async def check_addresses(
    settings: Settings, queries: Sequence[AddressQuery], message_type: str, show: ShowProgress | None = None
) -> list[tuple[AddressQuery, SuppressionResult]]:
    """Return the result for each address, in the order of the input.

    Args:
        settings: of the installation.
        queries: addresses to check.
        message_type: of the message to send; "": unknown.
        show: opens a progress display; None: no display.

    Raises:
        KafkaUnusableError: if Kafka does not answer, or the contacts topic is missing.
    """
    contacts = await read_wanted(settings, {one.recipient for one in queries if one.recipient}, show)
    scope = settings.unsubscribe_scope
    return [
        (one, check(contacts.get(one.recipient), message_type, scope) if one.recipient else _NOT_AN_ADDRESS)
        for one in queries
    ]


def as_csv_row(query: AddressQuery, result: SuppressionResult) -> tuple[str, ...]:
    """Return the values of `COLUMNS`."""
    yes_no = "yes" if result.may_be_mailed else "no"
    if not result.objections:
        return query.spelled, query.recipient, yes_no, "", "", "", ""
    first = result.objections[0]
    reasons = " ".join(objection.reason for objection in result.objections)
    return query.spelled, query.recipient, yes_no, first.reason, iso(first.since) or "", first.delivery_id, reasons


def as_json(query: AddressQuery, result: SuppressionResult) -> dict[str, Any]:
    """Return the JSON object of one address."""
    fields: dict[str, Any] = {
        "address": query.spelled,
        "recipient": query.recipient,
        "may_be_mailed": result.may_be_mailed,
    }
    if result.objections:
        fields |= {
            "reason": result.reason,
            "not_sent": NOT_SENT_REASON_OF[result.reason],
            "objections": [
                {"reason": o.reason, "since": iso(o.since), "delivery_id": o.delivery_id} for o in result.objections
            ],
        }
    return fields
