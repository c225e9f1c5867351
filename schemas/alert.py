"""What the alerts topic says of a delivery that goes wrong (`docs/decisions/0013-alerts.md`)."""

from __future__ import annotations

import msgspec


class DeliveryAlert(msgspec.Struct, gc=False, omit_defaults=True, frozen=True):
    """The value of the alerts topic: a share of a delivery has gone above its limit, or is back.

    The key is `delivery_id`, a TAB, `alert`. Times are seconds since 1970 (UTC).
    """

    schema: int
    delivery_id: str
    #: What it is about: the name of the threshold.
    alert: str
    #: `raised`, or `ended` once the share is at its limit or below.
    state: str
    #: One more for each change, over the delivery's life; an odd one is a raise.
    version: int
    #: Arrival of the last event that was counted.
    at: float
    #: Above the limit, or not: `numerator` / `denominator`; 0 where there is nothing to divide by.
    share: float
    limit: float
    #: There is no alert while the denominator is below it.
    minimum: int
    numerator: int
    #: By the names of the KPI topic.
    numerator_name: str
    denominator: int
    denominator_name: str
    #: The delivery's name and tenant, as its sender declared them.
    name: str = ""
    tenant: str = ""
