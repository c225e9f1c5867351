"""Settings of Redis."""

from __future__ import annotations

from pydantic import BaseModel, Field, field_validator


class RedisSettings(BaseModel):
    """Redis or Valkey."""

    redis_url: str = Field(
        "redis://127.0.0.1:6379/0",
        description="Redis or Valkey server with the live KPIs; `redis://:PASSWORD@HOST:PORT/0` with a password.",
        repr=False,
    )
    redis_prefix: str = Field("aftersend", min_length=1, description="Prefix of every key in Redis.")
    redis_interval: float = Field(0.25, gt=0, le=1.0, description="Interval of writes of changed KPIs to Redis.")
    redis_expiry_days: float = Field(
        45.0, gt=0, description="A delivery without events for this time expires in Redis (not in Kafka), days."
    )

    @field_validator("redis_url")
    @classmethod
    def _scheme(cls, value: str) -> str:
        if not value.startswith(("redis://", "rediss://", "unix://")):
            raise ValueError("must start with redis://, rediss:// or unix://")
        return value
