"""What simulators write about: one message of a delivery to one person."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final, NamedTuple

from aftersend.sources.simulation.replies import Reply

TENANT: Final = "brand"


class Mailbox(NamedTuple):
    """One mailbox provider, on a domain that nobody can own (RFC 2606)."""

    domain: str
    #: How many of a hundred recipients are there.
    weight: float
    provider: str
    address: str


class Person(NamedTuple):
    """One recipient."""

    #: As the MTA's log has it.
    address: str
    #: As the tracker has it, which may be another spelling of the same.
    tracked: str
    provider: Mailbox


class SimulatedDelivery(NamedTuple):
    """One delivery."""

    id: str
    message_type: str
    subject: str
    link: str


class Message(NamedTuple):
    """One message, and the choices that chance has made for it."""

    #: The MTA's id of it: 32 hex digits.
    ident: str
    delivery: SimulatedDelivery
    person: Person
    #: When it was handed to the MTA, seconds since 1970.
    injected_at: float
    #: What the recipient's host answers if it refuses.
    refusal: Reply
    #: Why it is left out, if it is.
    left_out: str
    test: bool = False
    #: A second recipient of the same message.
    companion: str = ""
    #: Whether its metadata name the delivery.
    attributed: bool = True

    def chance(self, salt: int, count: int) -> int:
        """Return a number from 0 up to, but not including, `count`: the same one for the same message and salt."""
        return (int(self.ident[:12], 16) + salt * 7919) // 13 % count


def rfc3339(seconds: float) -> str:
    """Return a time (seconds since 1970) with nanoseconds, in UTC."""
    micros = round(seconds * 1_000_000)
    moment = datetime.fromtimestamp(micros // 1_000_000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{micros % 1_000_000:06d}000Z"
