"""Changelogs without records although the group has folded events: the state is missing, and must not be begun anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from aftersend.engine import admin, changelog
from aftersend.engine.aiokafka.offsets import wait_for_all_committed_offsets
from aftersend.engine.aiokafka.records import FetchedRecord
from aftersend.rules.recipient.decisions import Decision
from aftersend.rules.recipient.kinds import (
    COMPLAINED,
    HARD_BOUNCE,
    INVALID_ADDRESS,
    SOFT_BOUNCE,
    SOFT_BOUNCE_EXHAUSTED,
    UNSUBSCRIBED,
)
from aftersend.schemas.event import FoldEvent
from aftersend.schemas.kpi import KpiPartial
from aftersend.schemas.packing import unpack_event_counter
from aftersend.schemas.topics import Topics
from aftersend.tables.codec.keys import internal_header, is_kpi_key
from aftersend.tables.codec.stored import decode_partial

#: Kinds that leave a contact behind whenever they are applied.
_LEAVE_CONTACTS: Final = frozenset(
    {COMPLAINED, HARD_BOUNCE, INVALID_ADDRESS, SOFT_BOUNCE, SOFT_BOUNCE_EXHAUSTED, UNSUBSCRIBED}
)
#: Time for a broker that has just started to load its groups, seconds.
_GROUP_SECONDS: Final = 20.0
#: Types of events that may leave nothing at all.
_TRACELESS: Final = frozenset({"released", "declared"})
_decode_event: Final = msgspec.json.Decoder(FoldEvent).decode
#: Where operators read on.
PAGE: Final = "docs/guide/operate.md#missing-state"


async def find_missing_state(options: Mapping[str, Any], group: str, topics: Topics) -> list[str]:
    """Return messages on the changelogs that ought to hold records and hold none; empty: none.

    Without committed offsets, as at a first start, nothing ought to be there. Little is read unless something is empty.

    Args:
        options: of the connection, as aiokafka takes them.
        group: the consumer group.
        topics: names of the topics, all of which exist.

    Raises:
        KafkaUnusableError: if Kafka can't be read.
    """
    async with admin.connect(options) as client:
        committed = await wait_for_all_committed_offsets(client, group, _GROUP_SECONDS)
        folded = {tp.partition: at for tp, at in committed.items() if tp.topic == topics.events and at > 0}
        names = (topics.status, topics.contacts, topics.kpis)
        bounds = await changelog.bounds(options, [(name, p) for name in names for p in folded]) if folded else {}
        found: dict[tuple[str, ...], list[int]] = {}
        for partition, offset in sorted(folded.items()):
            empty = [name for name in names if bounds[name, partition][0] == bounds[name, partition][1]]
            if empty and (lost := await _lost(options, topics, partition, offset, empty)):
                found.setdefault(tuple(lost), []).append(partition)
    return [_message(group, topics, lost, partitions) for lost, partitions in found.items()]


async def _lost(
    options: Mapping[str, Any], topics: Topics, partition: int, offset: int, empty: Sequence[str]
) -> list[str]:
    """Return which of the empty changelogs of a partition ought to hold records."""
    if topics.kpis in empty:
        # They were written with the first event or tick that was folded.
        return list(empty) if await _has_left_traces(options, topics.events, partition, offset) else []
    partials = await _read_partials(options, topics.kpis, partition)
    with_rows = any(count > 0 for partial in partials for count in partial.buckets.values())
    with_contacts = any(
        unpack_event_counter(key)[1:] == (kind, Decision.APPLIED)
        for partial in partials
        for key in partial.events
        for kind in _LEAVE_CONTACTS
    )
    ought = {topics.status: with_rows, topics.contacts: with_contacts}
    return [name for name in empty if ought[name]]


async def _has_left_traces(options: Mapping[str, Any], topic: str, partition: int, offset: int) -> bool:
    """Return whether a partition of the events topic had an event before an offset that the KPIs must show."""
    ((first, _),) = (await changelog.bounds(options, [(topic, partition)])).values()
    if first > 0:  # retention has removed some: it has been at work for long
        return True
    traces = False

    def apply(_topic: str, _partition: int, records: list[FetchedRecord]) -> None:
        nonlocal traces
        for record in records:
            if traces or record.offset >= offset:
                return
            try:
                traces = _decode_event(record.value or b"").type not in _TRACELESS
            except (msgspec.MsgspecError, UnicodeError, RecursionError):
                continue

    await changelog.read(options, {(topic, partition): 0}, apply)
    return traces


async def _read_partials(options: Mapping[str, Any], topic: str, partition: int) -> list[KpiPartial]:
    """Return the KPIs of a partition as far as they can be read; a restore reports what can't be."""
    partials: dict[bytes | None, KpiPartial] = {}

    def apply(_topic: str, _partition: int, records: list[FetchedRecord]) -> None:
        for record in records:
            if is_kpi_key(record.key) and record.value is not None:
                try:
                    partials[record.key] = decode_partial(internal_header(record.headers))
                except msgspec.MsgspecError:
                    continue

    await changelog.read(options, {(topic, partition): None}, apply)
    return list(partials.values())


def _message(group: str, topics: Topics, lost: Sequence[str], partitions: Sequence[int]) -> str:
    consequences = []
    if topics.contacts in lost:
        consequences.append("mail people again who have complained")
    if topics.status in lost or topics.kpis in lost:
        consequences.append("count from zero")
    return (
        f"{' and '.join(lost)} hold no records in partition {', '.join(map(str, partitions))}, although consumer group "
        f"{group} has folded events there: the state is missing. Folding on would {' and '.join(consequences)}. Check "
        "that AFTERSEND_KAFKA_BOOTSTRAP and AFTERSEND_TOPIC_PREFIX are those of this installation; if the topics were "
        f"deleted or created anew, restore their records from a copy ({PAGE})"
    )
