"""The hot loops' copies of bit layouts equal their definitions in `aftersend.schemas.packing`."""

from collections import Counter
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from aftersend.rules.recipient.decisions import DECISION_NAMES, Decision
from aftersend.rules.recipient.history import ENTRY_BYTES, NO_ID, pack_entry
from aftersend.rules.recipient.kinds import EXPIRED, KIND_NAME, kind_of
from aftersend.schemas.event import FoldEvent
from aftersend.schemas.packing import (
    MAX_OFFSET,
    MAX_PARTITION,
    MAX_SOURCE,
    pack_bucket,
    pack_event_counter,
    pack_history_word,
    pack_raw_position,
    unpack_event_counter,
    unpack_history_word,
    unpack_raw_position,
)
from aftersend.schemas.recipient import Row
from tests.unit.rules.factories import DAY, NUMBERS, START, event
from tests.unit.tables.factories import CODEC, TOPICS, Partition

types = st.sampled_from(["sent", "deferred", "delivered", "opened", "clicked", "hard_bounce", "complained", "not_sent"])
events = st.builds(
    lambda kind, at, source, partition, offset: event(
        kind, at, source=source, raw_partition=partition, raw_offset=offset
    ),
    types,
    st.integers(0, int(40 * DAY * 1000)).map(lambda ms: ms / 1000),
    st.sampled_from([*NUMBERS, "of no name"]),
    st.integers(-1, MAX_PARTITION),
    st.integers(-1, MAX_OFFSET),
)


@given(st.lists(events, min_size=1, max_size=8), st.integers(0, 100))
def test_what_folding_packs(folded: list[FoldEvent], number: int) -> None:
    """Raw positions, history words, event counters and buckets, of late events too."""
    partition = Partition(number=number)
    partition.take(event("planned"))
    partition.take(*folded)
    row, partial = partition.row(), partition.store.partial("d")

    assert row is not None
    assert partial is not None
    assert {pack_bucket(row.status, row.facts): 1} == partial.buckets
    positions = {
        pack_raw_position(NUMBERS[e.source], e.raw_partition, e.raw_offset)
        if e.source in NUMBERS and e.raw_partition >= 0 <= e.raw_offset
        else pack_raw_position(0, number, 1 + i)
        for i, e in enumerate(folded)
    }
    entries = [row.history[at : at + ENTRY_BYTES] for at in range(ENTRY_BYTES, len(row.history), ENTRY_BYTES)]
    words = [int.from_bytes(entry[16:24], "little") for entry in entries]
    stored = {
        int.from_bytes(entry[24:], "little") for entry, word in zip(entries, words, strict=True) if not is_expiry(word)
    }
    assert positions == stored
    for word in words:
        received_ms, kind, decision, _ = unpack_history_word(word)
        assert pack_history_word(received_ms / 1000, kind, decision) == word
        assert kind == EXPIRED or kind in map(kind_of, folded)
    of_events = Counter((NUMBERS.get(e.source, 0), kind_of(e)) for e in folded)
    counted: Counter[tuple[int, int]] = Counter()
    for counter, count in partial.events.items():
        source, kind, decision = unpack_event_counter(counter)
        assert pack_event_counter(source, kind, decision) == counter
        assert DECISION_NAMES[decision]
        counted[source, kind] += count
    assert of_events + Counter({(NUMBERS["kumomta"], kind_of(event("planned"))): 1}) == counted


def is_expiry(word: int) -> bool:
    return unpack_history_word(word).kind == EXPIRED


@given(
    st.binary(min_size=16, max_size=16),
    st.integers(0, 1 << 40).map(lambda ms: ms / 1000),
    st.sampled_from([number for number, name in enumerate(KIND_NAME) if name and number != EXPIRED]),
    st.sampled_from([Decision.APPLIED, Decision.LOWER_PRIORITY, Decision.LATE]),
    st.integers(0, MAX_SOURCE),
    st.integers(0, MAX_PARTITION),
    st.integers(0, MAX_OFFSET),
)
def test_what_the_status_topic_unpacks(
    digest: bytes, at: float, kind: int, decision: int, source: int, partition: int, offset: int
) -> None:
    """The cause of a row's version is the last entry that is not of a late event."""
    entry = pack_entry(digest, pack_history_word(at, kind, decision), pack_raw_position(source, partition, offset))
    ended = pack_entry(NO_ID, pack_history_word(START, EXPIRED, Decision.APPLIED), 0)
    state: dict[str, Any] = msgspec.json.decode(CODEC.state("d", "r@example.org", Row(history=ended + entry)))
    position = unpack_raw_position(pack_raw_position(source, partition, offset))
    name = CODEC.source_names.get(position.source, "unknown")
    topic = TOPICS.raw(name) if position.source else TOPICS.events

    if decision == Decision.LATE:
        assert {"kind": "expired"} == state["cause"]
    else:
        cause = {"partition": 0, "offset": 0} | state["cause"]
        assert (digest.hex(), KIND_NAME[kind]) == (cause["event_id"], cause["kind"])
        assert (topic, position.partition, position.offset) == (cause["topic"], cause["partition"], cause["offset"])
