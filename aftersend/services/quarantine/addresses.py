"""Addresses with errors, from the contacts topic."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec

from aftersend.config.settings import Settings
from aftersend.rules.contact.quarantine import AddressStatus, address_status
from aftersend.schemas.contact import Contact
from aftersend.schemas.times import iso
from aftersend.services.contacts import read_all
from aftersend.services.progress import ShowProgress
from aftersend.services.replies import reply_text


class QuarantineFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Selects addresses."""

    #: One of `aftersend.rules.contact.quarantine.ADDRESS_STATUSES`.
    state: str = "quarantined"
    #: Part of the error: its class, codes or text, in any case; "": any error.
    reason: str = ""
    #: Earliest start of the status, seconds since 1970; None: any.
    since: float | None = None
    #: Start of the status is before this, seconds since 1970; None: any.
    until: float | None = None

    def matches(self, entry: QuarantineEntry) -> bool:
        """Return whether an address is selected."""
        status = entry.status
        return (
            status.state == self.state
            and (self.since is None or status.since >= self.since)
            and (self.until is None or status.since < self.until)
            and self.reason.casefold() in error_text(entry.contact).casefold()
        )


class QuarantineEntry(msgspec.Struct):
    """One address, and its status at the time of reading."""

    contact: Contact
    status: AddressStatus


async def find_entries(
    settings: Settings, selection: QuarantineFilter, now: float, show: ShowProgress | None = None
) -> list[QuarantineEntry]:
    """Return the selected addresses, the latest first.

    Args:
        settings: of the installation.
        selection: addresses to return.
        now: time for which statuses are computed, seconds since 1970.
        show: opens a progress display; None: no display.

    Raises:
        KafkaUnusableError: if Kafka does not answer, or the contacts topic is missing.
    """
    found: dict[str, QuarantineEntry] = {}

    def apply(address: str, contact: Contact | None) -> None:
        found.pop(address, None)  # an earlier record of the address is obsolete
        if contact is not None:
            entry = QuarantineEntry(contact, address_status(contact, now))
            if selection.matches(entry):
                found[address] = entry

    await read_all(settings, apply, show)
    return sorted(found.values(), key=lambda entry: (-entry.status.since, entry.contact.recipient))


def error_text(contact: Contact) -> str:
    """Return the contact's error as text: class, codes and diagnostic; "" if there is none."""
    error = contact.error
    if error is None:
        return ""
    return " ".join(filter(None, (error.reason, reply_text(error.code, error.enhanced_code, error.diagnostic))))


def by_error(entries: list[QuarantineEntry]) -> Counter[tuple[str, str]]:
    """Count addresses by domain and class of the error."""
    return Counter((entry.contact.recipient.rpartition("@")[2], entry.status.why) for entry in entries)


def as_json(entry: QuarantineEntry) -> dict[str, Any]:
    """Return the JSON object of an address."""
    contact, status = entry.contact, entry.status
    error = {} if contact.error is None else msgspec.to_builtins(contact.error) | {"at": iso(contact.error.at)}
    return {
        "recipient": contact.recipient,
        "address": contact.address or contact.recipient,
        "standing": status.state,
        "since": iso(status.since),
        "until": iso(status.until),
        "errors": contact.errors,
        "error": error,
    }
