"""Suppression check of a list of addresses: reads lines or CSV, returns for each address whether it may be mailed."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

from aftersend.config.settings import Settings
from aftersend.errors import UsageError
from aftersend.rules.contact.suppression import (
    INVALID,
    NOT_SENT_REASON_OF,
    SuppressionReason,
    SuppressionResult,
    check,
)
from aftersend.schemas.times import iso
from aftersend.services.contacts import read_wanted
from aftersend.services.progress import ShowProgress
from aftersend.sources.base import SourceError
from aftersend.sources.parsing.address import normalise

#: Headings of the column with the address; without one of them, it is the first column.
HEADINGS: Final = ("recipient", "email", "e-mail", "address", "mail")
#: Columns of the CSV output.
COLUMNS: Final = ("address", "recipient", "may_be_mailed", "reason", "since", "delivery_id", "all_reasons")
_NOT_AN_ADDRESS: Final = SuppressionResult((SuppressionReason(INVALID),))


class AddressQuery(NamedTuple):
    """One address to check."""

    #: As in the input.
    spelled: str
    #: Normalised; "" if it is not an address.
    recipient: str


def read_addresses(lines: Iterable[str], name: str) -> Iterator[AddressQuery]:
    """Yield the addresses of a text: one a line, or CSV with or without a header.

    Args:
        lines: of the text.
        name: of the file, for error messages.

    Raises:
        UsageError: if the text is not valid CSV.
    """
    rows = csv.reader(lines, delimiter=",")
    column = 0
    try:
        for number, row in enumerate(rows):
            if number == 0 and (heading := _address_column(row)) is not None:
                column = heading
                continue
            if any(cell.strip() for cell in row):
                spelled = row[column].strip() if column < len(row) else ""
                yield AddressQuery(spelled, key_of(spelled))
    except csv.Error as error:
        raise UsageError(f"{name}: line {rows.line_num}: {error}") from error


def _address_column(row: list[str]) -> int | None:
    """Return the index of the column with the address; None if the row is not a header."""
    names = [cell.strip().lstrip("\ufeff").casefold() for cell in row]
    return next((names.index(heading) for heading in HEADINGS if heading in names), None)


def key_of(spelled: str) -> str:
    """Return the normalised form of an address; "" if no mail can be sent to it."""
    try:
        key = normalise(spelled)
    except SourceError:
        return ""
    local, at, domain = key.rpartition("@")
    return key if local and at and domain else ""


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
