"""Settings of the topics."""

from __future__ import annotations

from pydantic import BaseModel, Field

from aftersend.config.types import Mapped


class TopicSettings(BaseModel):
    """The topics."""

    topic_prefix: str = Field(
        "feedback", pattern=r"^[A-Za-z0-9._-]+$", max_length=100, description="Prefix of every topic's name."
    )
    events_topic: str = Field("", description="Topic of canonical events, if its name is not `<topic_prefix>.events`.")
    raw_topics: Mapped = Field(
        {},
        description="Raw topics whose names are not `<topic_prefix>.raw.<source>`, by source (JSON object).",
    )
    partitions: int = Field(
        8,
        ge=1,
        le=16_000,
        description="Partitions of each topic that `topics apply` creates. The number can't change afterwards.",
    )
    replication_factor: int = Field(
        -1, ge=-1, description="Replicas of each topic that `topics apply` creates; -1: the broker's default."
    )
    raw_retention_days: float = Field(
        90.0, gt=0, description="Retention of raw records and events, and so the reach of a replay, days."
    )
