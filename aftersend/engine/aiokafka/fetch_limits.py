"""Patch of aiokafka's fetcher: a fetch limit for each topic, and a notice when a partition loses its position.

aiokafka has one limit for all topics, but the memory of a fetch depends on its records' size. And where Kafka no longer
has the records at a position, aiokafka goes on from the first that it has, without a word. A consumer asks for either
by `FetchOptions` (see `records`); every other consumer in the process is as before.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiokafka.consumer import consumer as _consumer
from aiokafka.consumer import fetcher as _fetcher
from aiokafka.structs import TopicPartition

from aftersend.engine.aiokafka.records import FetchOptions


class _LimitingFetcher(_fetcher.Fetcher):  # type: ignore[misc]
    """A fetcher with a limit for each topic, and a notice of lost positions."""

    _value_deserializer: Any

    def _get_actions_per_node(self, assignment: Any) -> Any:
        actions = super()._get_actions_per_node(assignment)
        options = self._value_deserializer
        if isinstance(options, FetchOptions) and options.limits:
            for _node, request in actions[0]:
                limit(request, options.limits, assignment)
        return actions

    async def _update_fetch_positions(self, assignment: Any, node_id: int, tps: Any) -> Any:
        options = self._value_deserializer
        if isinstance(options, FetchOptions) and options.on_position_lost is not None:
            for tp in tps:
                if assignment.state_value(tp).awaiting_reset:
                    options.on_position_lost(tp)
        return await super()._update_fetch_positions(assignment, node_id, tps)


def limit(request: Any, limits: Mapping[str, int], assignment: Any) -> None:
    """Set the limits of a fetch request in place, before it is sent.

    A partition returns at most its topic's limit. All partitions together return at most the largest limit among the
    topics that have more to fetch according to their last response; topics at their end return little anyway.

    Args:
        request: of aiokafka; changed in place.
        limits: bytes by topic; other topics keep the consumer's limit.
        assignment: of aiokafka's consumer, with positions and ends of the partitions.
    """
    own = request._max_bytes
    behind = [
        limits.get(topic, own)
        for topic, partitions in request.topics
        if any(_is_behind(assignment.state_value(TopicPartition(topic, number))) for number, _, _ in partitions)
    ]
    request._max_bytes = max(behind, default=min(limits.values()))
    request._topics = [
        (topic, [(number, offset, limits.get(topic, most)) for number, offset, most in partitions])
        for topic, partitions in request.topics
    ]


def _is_behind(state: Any) -> bool:
    return state.lso is not None and bool(state.lso > state.position)


def patch() -> None:
    """Apply the patch; `aftersend.engine.aiokafka.patches` calls this."""
    _consumer.Fetcher = _LimitingFetcher
