"""Settings of alerts on deliveries."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_settings import NoDecode

from aftersend.config.types import PARSE_JSON

#: Names of `aftersend.rules.kpi.alerts.THRESHOLDS`.
AlertName = Literal["hard_bounces", "unsubscribes", "complaints"]
#: Stands for all tenants without thresholds of their own.
ANY_TENANT: Final = "*"


class AlertLimit(BaseModel):
    """A tenant's threshold of one alert."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    #: Share above which the alert is raised, 0 to 1; None: as documented.
    limit: float | None = Field(None, ge=0, le=1)
    #: Messages sent (or delivered, where the share is of those) below which no alert is raised; None: as documented.
    minimum: int | None = Field(None, ge=1)

    @model_validator(mode="before")
    @classmethod
    def _from_number(cls, value: Any) -> Any:
        return {"limit": value} if isinstance(value, (int, float)) else value


class AlertSettings(BaseModel):
    """Alerts on deliveries."""

    alert_thresholds: Annotated[dict[str, dict[AlertName, AlertLimit]], NoDecode, PARSE_JSON] = Field(
        {},
        description="Thresholds of alerts on deliveries, by tenant, or `*` for all others, such as "
        '`{"*": {"complaints": 0.002}, "acme": {"hard_bounces": {"limit": 0.03, "minimum": 500}}}` (JSON object). '
        "Defaults: `hard_bounces` and `unsubscribes` above 5 % of at least 100 messages, `complaints` above 0.1 % of "
        "at least 1,000. A limit of 1 turns an alert off.",
    )
