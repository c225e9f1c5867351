"""Settings of the circuit breaker for unreadable records."""

from __future__ import annotations

from pydantic import BaseModel, Field


class BreakerSettings(BaseModel):
    """Settings of the circuit breaker."""

    breaker_share: float = Field(
        0.5,
        gt=0,
        le=1,
        description="A topic, or one of its tenants, pauses if more than this share of its last records is unreadable.",
    )
    breaker_records: int = Field(1000, ge=10, description="Number of last records that the breaker counts.")
    breaker_pause: float = Field(
        300.0,
        gt=0,
        description="Seconds after which a paused topic, or tenant, is tried with one batch. "
        "`aftersend sources resume` resumes it at once.",
    )
