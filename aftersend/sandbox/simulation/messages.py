"""What is sent: deliveries, and their messages to one recipient each."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final, NamedTuple

from aftersend.sandbox.simulation.people import Person
from aftersend.sandbox.simulation.replies import Reply

TENANT: Final = "brand"


class Delivery(NamedTuple):
    """One delivery."""

    id: str
    message_type: str
    subject: str
    link: str


_DELIVERIES: Final = (
    Delivery("autumn-sale", "campaign", "Our autumn sale starts today", "https://brand.example/autumn?item=4711"),
    Delivery("welcome", "automation", "Welcome! Here is how to start", "https://brand.example/start"),
    Delivery("order-confirmation", "transactional", "Your order is on its way", "https://brand.example/orders/0815"),
    Delivery("newsletter", "campaign", "News of the month", "https://brand.example/news"),
    Delivery("cart-reminder", "automation", "You left something behind", "https://brand.example/cart"),
    Delivery("loyalty-points", "campaign", "Your points are about to expire", "https://brand.example/points"),
    Delivery("password-reset", "transactional", "Set a new password", "https://brand.example/password"),
    Delivery("webinar", "campaign", "You are invited: live on Thursday", "https://brand.example/webinar"),
)

#: Began weeks before: what comes of it now is late.
OLD_DELIVERY: Final = Delivery("summer-sale", "campaign", "Last days of summer", "https://brand.example/summer")


def delivery(number: int, provider: str = "") -> Delivery:
    """Return a delivery, another one for each number and for each provider that sends it."""
    made = _DELIVERIES[number % len(_DELIVERIES)]
    edition = number // len(_DELIVERIES)
    parts = (made.id, provider, str(edition + 1) if edition else "")
    return made._replace(id="-".join(filter(None, parts)))


class Message(NamedTuple):
    """One message, and what chance has in store for it."""

    #: The MTA's id of it: 32 hex digits.
    ident: str
    delivery: Delivery
    person: Person
    #: When it was handed to the MTA.
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
    """Return a time with nanoseconds, as KumoMTA writes it."""
    micros = round(seconds * 1_000_000)
    moment = datetime.fromtimestamp(micros // 1_000_000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{micros % 1_000_000:06d}000Z"
