"""Addresses that errors are held against, as the contacts topic has them."""

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


class QuarantineFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which addresses are meant."""

    #: One of `aftersend.rules.contact.quarantine.ADDRESS_STATUSES`.
    state: str = "quarantined"
    #: A part of the error: its class, codes or text; without regard to case.
    reason: str = ""
    #: Since when things have stood so, seconds since 1970.
    since: float | None = None
    until: float | None = None

    def hold(self, contact: Contact, found: AddressStatus) -> bool:
        """Say whether an address is meant."""
        return (
            found.state == self.state
            and (self.since is None or found.since >= self.since)
            and (self.until is None or found.since < self.until)
            and self.reason.casefold() in words(contact).casefold()
        )


class QuarantineEntry(msgspec.Struct):
    """One address that is meant."""

    contact: Contact
    standing: AddressStatus


async def find(
    settings: Settings, filters: QuarantineFilter, now: float, show: ShowProgress | None = None
) -> list[QuarantineEntry]:
    """Return the addresses that are meant, the latest first.

    Args:
        settings: of the installation.
        filters: which are meant.
        now: as of when, seconds since 1970.
        show: opens a progress display; None: nobody watches.
    """
    found: dict[str, QuarantineEntry] = {}

    def take(address: str, contact: Contact | None) -> None:
        how = address_status(contact, now)
        if contact is not None and filters.hold(contact, how):
            found[address] = QuarantineEntry(contact, how)
        else:
            found.pop(address, None)  # what it was before does not hold any more

    await read_all(settings, take, show)
    return sorted(found.values(), key=lambda held: (-held.standing.since, held.contact.recipient))


def words(contact: Contact) -> str:
    """Return the error that is held against an address, in words."""
    error = contact.error
    if error is None:
        return ""
    parts = (error.reason, str(error.code or ""), error.enhanced_code, error.diagnostic)
    return " ".join(part for part in parts if part)


def by_error(found: list[QuarantineEntry]) -> Counter[tuple[str, str]]:
    """Count addresses by their domain and the class of the error."""
    return Counter((held.contact.recipient.rpartition("@")[2], held.standing.why) for held in found)


def as_json(held: QuarantineEntry) -> dict[str, Any]:
    """Return an address as scripts read it."""
    contact, how = held.contact, held.standing
    error = {} if contact.error is None else msgspec.to_builtins(contact.error) | {"at": iso(contact.error.at)}
    return {
        "recipient": contact.recipient,
        "address": contact.address or contact.recipient,
        "standing": how.state,
        "since": iso(how.since),
        "until": iso(how.until),
        "errors": contact.errors,
        "error": error,
    }
