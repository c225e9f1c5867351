"""Settings of the circuit breaker for unreadable records."""

from __future__ import annotations

from pydantic import BaseModel, Field


class BreakerSettings(BaseModel):
    """The circuit breaker."""

    breaker_share: float = Field(
        0.5, gt=0, le=1, description="The worker stops when more than this share of the last records is unreadable."
    )
    breaker_records: int = Field(1000, ge=10, description="Number of last records that the breaker counts.")
