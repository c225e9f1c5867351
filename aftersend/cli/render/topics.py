"""Topics as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aftersend.cli.render.output import LineTable, table
from aftersend.engine import admin
from aftersend.schemas.topics import TopicLayout


def applied_topics(results: Sequence[admin.AppliedTopic]) -> LineTable:
    """Return a table of created and changed topics."""
    result = table("", "topic", "result", "changed")
    for one in results:
        changes = ", ".join(f"{name} {old or 'not set'} -> {new}" for name, (old, new) in one.changed.items())
        result.add_row(one.name, one.result, changes)
    return result


def topic_list(layouts: Sequence[TopicLayout], existing: Mapping[str, admin.TopicFound]) -> LineTable:
    """Return a table of topics, with their differences from the layout.

    Args:
        layouts: all topics, as they should be.
        existing: existing topics by name.
    """
    result = table("", "topic", "partitions", "replicas", "differs", "purpose", right=("partitions", "replicas"))
    for layout in layouts:
        topic = existing.get(layout.name)
        if topic is None:
            result.add_row(layout.name, "-", "-", "missing", layout.purpose)
            continue
        differs = [f"{k}={old or 'not set'}, not {new}" for k, (old, new) in admin.differing(layout, topic).items()]
        result.add_row(
            layout.name, str(topic.partitions), str(topic.replicas), "; ".join(differs) or "no", layout.purpose
        )
    return result
