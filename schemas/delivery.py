"""A delivery as its sender declares it, and as the deliveries topic shows it (`docs/guide/declare-deliveries.md`)."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from aftersend.schemas.times import END_OF_TIME

#: Names of the views (`aftersend.rules.views.VIEWS`), one of which is a delivery's default.
POLICIES: Final = ("without-efs", "efs", "v8", "enhanced-mta", "creatio", "escala")

#: Declared periods are ten years at most, in days and in hours, so that times stay within what rows can hold.
MAX_DAYS: Final = 3660.0
MAX_HOURS: Final = 24 * MAX_DAYS

_Hours = Annotated[float, msgspec.Meta(gt=0, le=MAX_HOURS)]
_Days = Annotated[float, msgspec.Meta(gt=0, le=MAX_DAYS)]
#: Seconds since 1970, to the end of 9999.
_Time = Annotated[float, msgspec.Meta(ge=0, le=END_OF_TIME)]
_Count = Annotated[int, msgspec.Meta(ge=0)]


class Declaration(msgspec.Struct, gc=False, omit_defaults=True, frozen=True):
    """What a sender declares of a delivery, besides its id, tenant and message type."""

    #: For display.
    name: str = ""
    #: The view that the delivery is shown in by default; left out: not declared.
    policy: str = ""
    #: Response window: how long a message waits for an outcome after it was sent, hours; left out: by source.
    validity_hours: _Hours | None = None
    #: How long statuses and KPIs change after the start, days; left out: the setting applies.
    statistics_update_period_days: _Days | None = None
    #: When sending begins, seconds since 1970: freeze and retention count from it. Left out: from the first event.
    start: _Time | None = None
    #: How many recipients it is meant for.
    expected_audience: _Count | None = None


class Delivery(msgspec.Struct, gc=False, omit_defaults=True, frozen=True):
    """The value of the deliveries topic: what was declared of one delivery. The key is `delivery_id`.

    A later declaration replaces the earlier one completely. Times are seconds since 1970 (UTC). A delivery without a
    declaration has no record: its first event creates it, with the installation's settings.
    """

    schema: int
    delivery_id: str
    #: Arrival of the declaration.
    declared_at: float
    #: For display.
    name: str = ""
    tenant: str = ""
    message_type: str = ""
    #: The view that the delivery is shown in by default; left out: not declared.
    policy: str = ""
    #: Response window: how long a message waits for an outcome after it was sent, hours; left out: by source.
    validity_hours: float | None = None
    #: How long statuses and KPIs change after the start, days; left out: the setting applies.
    statistics_update_period_days: float | None = None
    #: When sending begins: freeze and retention count from it. Left out: from the first event.
    start: float | None = None
    #: How many recipients it is meant for.
    expected_audience: int | None = None
    #: The declaration's event id.
    event_id: str = ""


class DeliveryTerms(msgspec.Struct, gc=False, omit_defaults=True, frozen=True):
    """A delivery's declared terms: the KPI topic's record with the key `@delivery:` and the delivery's id.

    Each partition keeps its own copy, since every partition receives every declaration.
    """

    #: Arrival of the declaration, and its event id.
    at: float
    event_id: str
    #: Response window, seconds; left out: by source.
    validity: float | None = None
    #: From the start until statuses and KPIs no longer change, seconds; left out: the setting applies.
    freeze: float | None = None
    #: When the delivery starts, seconds since 1970; left out: at its first event.
    start: float | None = None
    #: Of messages whose events do not name one; left out: not declared.
    message_type: str = ""

    def same_times(self, other: DeliveryTerms | None) -> bool:
        """Return whether both set the same times; None: nothing was declared."""
        if other is None:
            return self.validity is None and self.freeze is None and self.start is None
        return (self.validity, self.freeze, self.start) == (other.validity, other.freeze, other.start)
