"""The deliveries that a simulated campaign sends."""

from __future__ import annotations

from typing import Final

from aftersend.sources.simulation.message import SimulatedDelivery

_DELIVERIES: Final = (
    SimulatedDelivery(
        "autumn-sale", "campaign", "Our autumn sale starts today", "https://brand.example/autumn?item=4711"
    ),
    SimulatedDelivery("welcome", "automation", "Welcome! Here is how to start", "https://brand.example/start"),
    SimulatedDelivery(
        "order-confirmation", "transactional", "Your order is on its way", "https://brand.example/orders/0815"
    ),
    SimulatedDelivery("newsletter", "campaign", "News of the month", "https://brand.example/news"),
    SimulatedDelivery("cart-reminder", "automation", "You left something behind", "https://brand.example/cart"),
    SimulatedDelivery("loyalty-points", "campaign", "Your points are about to expire", "https://brand.example/points"),
    SimulatedDelivery("password-reset", "transactional", "Set a new password", "https://brand.example/password"),
    SimulatedDelivery("webinar", "campaign", "You are invited: live on Thursday", "https://brand.example/webinar"),
)

#: Began weeks before: what comes of it now is late.
OLD_DELIVERY: Final = SimulatedDelivery(
    "summer-sale", "campaign", "Last days of summer", "https://brand.example/summer"
)


def delivery(number: int, suffix: str = "") -> SimulatedDelivery:
    """Return a delivery, another one for each number and for each suffix (who sends it)."""
    made = _DELIVERIES[number % len(_DELIVERIES)]
    edition = number // len(_DELIVERIES)
    parts = (made.id, suffix, str(edition + 1) if edition else "")
    return made._replace(id="-".join(filter(None, parts)))
