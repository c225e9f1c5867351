"""Mutated raw records through normalise and fold: events or a dead letter, never an unhandled exception."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, Final

import msgspec
import pytest
from aiokafka.producer.message_accumulator import BatchBuilder

from aftersend.agents.normalise import Normalise, NormaliseState
from aftersend.config.installation import parsers
from aftersend.config.loading import load
from aftersend.engine.aiokafka import patches
from aftersend.engine.partitions.batch import Batch
from aftersend.engine.transaction import MAX_BATCH_BYTES, Output
from aftersend.schemas.event import Feedback
from aftersend.sources.registry import REGISTRY
from tests.fuzz.mutation import Mutator
from tests.fuzz.portions import SCALE, SEED
from tests.fuzz.seeds import seeds_of
from tests.unit.folding_in_memory import Partition, Record

#: Mutated records of each source: in CI 1,500; with FUZZ=150 the million of all sources together is exceeded.
NUMBER: Final = 1_500 * SCALE
_BATCH: Final = 100
NOW_MS: Final = 1_790_000_000_000
SETTINGS: Final = load(breaker_records=10**9)
PARSERS: Final = parsers(SETTINGS)


class Measured:
    """Takes what a batch writes as Kafka's own batches, which refuse what is too large; keeps the values by topic."""

    def __init__(self) -> None:
        patches.apply()
        new: Callable[[], Any] = lambda: BatchBuilder(  # noqa: E731 - as a producer makes them
            MAX_BATCH_BYTES, 0, is_transactional=True, key_serializer=None, value_serializer=None
        )
        self._output = Output(SimpleNamespace(create_batch=new))
        self.topics: dict[str, list[bytes | None]] = {}

    def channel(self, topic: str, partition: int) -> Any:
        """Return the channel of a topic."""
        append = self._output.channel(topic, partition).append
        values = self.topics.setdefault(topic, [])

        def kept(key: bytes | None, value: bytes | None, timestamp: int, headers: Any = ()) -> None:
            append(key, value, timestamp, list(headers))
            values.append(value)

        return SimpleNamespace(append=kept)


@pytest.mark.slow
@pytest.mark.parametrize("source", REGISTRY)
def test_any_record_becomes_events_or_a_dead_letter(source: str) -> None:
    topic = SETTINGS.topics.raw(source)
    agent = Normalise(SETTINGS, {topic: PARSERS[source]}, 4)
    state = NormaliseState(topic, 0, PARSERS[source])
    partition = Partition()
    records = Mutator(f"{SEED} {source}", seeds_of(source)).records(NUMBER)
    offset = 0
    kept = 0
    for _ in range(NUMBER // _BATCH):
        batch: list[Any] = [
            Record(offset + at, NOW_MS, b"", raw) for at, raw in enumerate(next(records) for _ in range(_BATCH))
        ]
        output: Any = Measured()
        try:
            parsed = agent.process(state, Batch(offset, batch), output)
        except Exception as error:
            error.add_note(f"seed {SEED}, batch at {offset}: {[hashlib.sha256(r.value).hexdigest() for r in batch]}")
            raise
        events = output.topics.get(SETTINGS.topics.events, [])
        letters = output.topics.get(SETTINGS.topics.dead_letters, [])
        assert sum(parsed.errors.values()) == len(letters)
        kept += len(letters)
        for value in events:
            msgspec.json.decode(value or b"", type=Feedback)
        written: Any = Measured()
        fetched: Any = [Record(offset + at, NOW_MS, b"", value) for at, value in enumerate(events)]
        result = partition.track.process(partition.state, Batch(offset, fetched), written)
        partition.state.store.apply(result.changes, {})
        assert not result.errors, "what normalise writes can be folded"
        offset += _BATCH
    assert 0 < kept < NUMBER, "some mutated records can still be read, some can't"
