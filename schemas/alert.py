"""Alerts on deliveries, the values of the alerts topic (`docs/decisions/0013-alerts.md`)."""

from __future__ import annotations

import msgspec


class DeliveryAlert(msgspec.Struct, gc=False, omit_defaults=True, frozen=True):
    """The value of the alerts topic: a share of a delivery has exceeded its limit, or is back within it.

    The key is `delivery_id`, a TAB, `alert`. Times are seconds since 1970 (UTC).
    """

    schema: int
    delivery_id: str
    #: The name of the threshold.
    alert: str
    #: `raised`, or `ended` once the share is at its limit or below.
    state: str
    #: Incremented by each change over the delivery's life; odd: raised.
    version: int
    #: Arrival of the last counted event.
    at: float
    #: `numerator` / `denominator`; 0 if the denominator is 0.
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
