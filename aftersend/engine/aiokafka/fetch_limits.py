"""How much is fetched at once, by topic: what a fetch takes in memory depends on how large its records are.

aiokafka has one limit for all topics. A consumer sets limits of its own by passing `lean.Lean(limits)` as its value
deserializer; every other consumer in the process works as before.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiokafka.consumer import consumer as _consumer
from aiokafka.consumer import fetcher as _fetcher
from aiokafka.structs import TopicPartition

from aftersend.engine.aiokafka.records import Lean


class _Fetcher(_fetcher.Fetcher):  # type: ignore[misc]
    """A fetcher that asks for more of some topics than of others."""

    _value_deserializer: Any

    def _get_actions_per_node(self, assignment: Any) -> Any:
        actions = super()._get_actions_per_node(assignment)
        wish = self._value_deserializer
        if isinstance(wish, Lean) and wish.limits:
            for _node, request in actions[0]:
                limit(request, wish.limits, assignment)
        return actions


def limit(request: Any, limits: Mapping[str, int], assignment: Any) -> None:
    """Limit a request that was not sent yet.

    A partition gives no more than its topic's limit, and all partitions together no more than the largest limit among
    those topics of which there is more to fetch, as far as the last answer told. Topics at their end may bring little.

    Args:
        request: of aiokafka; changed in place.
        limits: bytes by topic; topics that are not in it keep the consumer's own limit.
        assignment: of aiokafka's consumer, which knows the partitions' positions and ends.
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


def install() -> None:
    """Make limits work in this process; to be called once before a consumer is started."""
    _consumer.Fetcher = _Fetcher
