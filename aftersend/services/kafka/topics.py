"""Topics of an installation: creation, and differences from their layout."""

from __future__ import annotations

from typing import Any

import msgspec

from aftersend.config.installation import foreign_topics, topic_layouts
from aftersend.config.settings import Settings
from aftersend.engine import admin
from aftersend.schemas.topics import TopicLayout


class TopicReport(msgspec.Struct):
    """Topics as they should be, and as they are."""

    layouts: tuple[TopicLayout, ...]
    #: Existing topics by name.
    existing: dict[str, admin.TopicFound]
    #: Problems that keep a worker from starting.
    problems: list[str]

    def as_json(self) -> dict[str, Any]:
        """Return the JSON object of `aftersend topics show --json`."""
        return {"topics": {layout.name: self._topic(layout) for layout in self.layouts}, "problems": self.problems}

    def _topic(self, layout: TopicLayout) -> dict[str, Any]:
        topic = self.existing.get(layout.name)
        return {
            "purpose": layout.purpose,
            "partitions": topic.partitions if topic is not None else None,
            "replicas": topic.replicas if topic is not None else None,
            "differs": admin.differing(layout, topic) if topic is not None else {},
        }


async def read_topics(settings: Settings) -> TopicReport:
    """Return the topics of an installation.

    Raises:
        KafkaUnusableError: if Kafka does not answer.
    """
    options, layouts = settings.kafka_options(), topic_layouts(settings)
    cluster = await admin.inspect(options)
    existing = {found.name: found for found in await admin.show_topics(options, [layout.name for layout in layouts])}
    return TopicReport(layouts, existing, admin.problems(cluster, settings.topics, layouts))


async def apply_topics(settings: Settings) -> list[admin.AppliedTopic]:
    """Create missing topics and set the configuration of the others; return what was done, by topic.

    Raises:
        KafkaUnusableError: if Kafka does not answer, or refuses.
    """
    return await admin.apply_topics(
        settings.kafka_options(), topic_layouts(settings), settings.replication_factor, foreign_topics(settings)
    )
