"""Settings of the consumer group."""

from __future__ import annotations

from pydantic import BaseModel, Field


class GroupSettings(BaseModel):
    """The consumer group."""

    app_id: str = Field(
        "aftersend",
        pattern=r"^[A-Za-z0-9._-]+$",
        max_length=100,
        description="Consumer group, and prefix of every transactional id. Workers with the same id share the "
        "partitions.",
    )
