"""What a fetch is limited to; that aiokafka keeps to it is seen in `tests/system`."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.consumer import consumer
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.structs import TopicPartition

from aftersend.engine.aiokafka import fetch_limits
from aftersend.engine.aiokafka.fetch_limits import limit

SMALL, LARGE = 4_000, 16_000
LIMITS = {"events": SMALL}


def request() -> Any:
    topics = [("events", [(0, 5, LARGE), (1, 7, LARGE)]), ("raw", [(0, 9, LARGE)])]
    return FetchRequest(500, 1, LARGE, 1, topics)


def assignment(ends: dict[tuple[str, int], int | None]) -> Any:
    """Know the partitions as the last answer showed them."""
    positions = {("events", 0): 5, ("events", 1): 7, ("raw", 0): 9}
    states = {
        TopicPartition(*key): SimpleNamespace(position=position, lso=ends.get(key, position))
        for key, position in positions.items()
    }
    return SimpleNamespace(state_value=states.__getitem__)


@pytest.mark.parametrize(
    "ends, most",
    [
        ({}, SMALL),  # nothing is left of any
        ({("events", 0): None, ("events", 1): None, ("raw", 0): None}, SMALL),  # nothing was heard yet
        ({("events", 1): 8}, SMALL),
        ({("raw", 0): 10}, LARGE),
        ({("events", 1): 8, ("raw", 0): 10}, LARGE),
    ],
)
def test_all_partitions_together_give_as_much_as_the_topics_may_that_have_more(
    ends: dict[tuple[str, int], int | None], most: int
) -> None:
    made = request()
    limit(made, LIMITS, assignment(ends))
    assert made._max_bytes == most


def test_each_partition_gives_what_its_topic_may() -> None:
    made = request()
    limit(made, LIMITS, assignment({}))
    assert made.topics == [("events", [(0, 5, SMALL), (1, 7, SMALL)]), ("raw", [(0, 9, LARGE)])]


def test_consumers_are_made_with_the_fetcher_that_limits() -> None:
    fetch_limits.patch()
    assert consumer.Fetcher is fetch_limits._LimitingFetcher
