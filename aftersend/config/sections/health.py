"""Settings of health checks and metrics."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pydantic import BaseModel, Field, field_validator

#: Shorter tokens can be guessed, characters.
MIN_METRICS_TOKEN: Final = 16


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
    metrics_token: str = Field(
        "",
        description="Token that /metrics of workers and gateways requires (`Authorization: Bearer …`). Without any, "
        "here and in `metrics_tokens_file`, everybody who can connect may read it.",
        repr=False,
    )
    metrics_tokens_file: Path | None = Field(
        None, description="File with more tokens for /metrics, one a line; each of them is accepted."
    )
    stall_seconds: float = Field(
        120.0, gt=0, description="/live fails when records wait and no batch was committed for this time."
    )

    @field_validator("metrics_token")
    @classmethod
    def _long_enough(cls, value: str) -> str:
        if value and len(value) < MIN_METRICS_TOKEN:
            raise ValueError(f"a token must have at least {MIN_METRICS_TOKEN} characters")
        return value
