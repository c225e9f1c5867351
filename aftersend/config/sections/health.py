"""Settings of health checks and metrics."""

from __future__ import annotations

from pydantic import BaseModel, Field


class HealthSettings(BaseModel):
    """Health checks and metrics."""

    web_host: str = Field("127.0.0.1", description="Address that serves /live, /ready and /metrics.")
    web_port: int = Field(6066, ge=0, le=65535, description="Port of /live, /ready and /metrics; 0: not served.")
    metrics_deliveries: int = Field(
        20,
        ge=0,
        le=1000,
        description="Deliveries with series of their own in /metrics, those last active; all others are `__other__`.",
    )
    stall_seconds: float = Field(
        120.0, gt=0, description="/live fails when records wait and no batch was committed for this time."
    )
