"""Which installation owns a set of topics: a record on the positions topic, written at its first start.

Two applications on the same topics would not fence each other, since transactional ids begin with the application's id;
each would count everything into the same rows. The first record on the topic wins; a later one is withdrawn.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from aftersend.engine import changelog
from aftersend.engine.aiokafka import patches
from aftersend.engine.aiokafka.records import FetchedRecord
from aftersend.errors import KafkaUnusableError
from aftersend.schemas.position import STATE_FORMAT, TopicsOwner, is_owner_key, owner_key
from aftersend.schemas.topics import Topics

log = structlog.get_logger(__name__)

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(TopicsOwner).decode


async def read_owner(options: Mapping[str, Any], topics: Topics) -> TopicsOwner | None:
    """Return the owner of the topics; None: nobody has claimed them yet."""
    owners = await _owners(options, topics)
    return owners[0] if owners else None


async def claim(options: Mapping[str, Any], topics: Topics, own: TopicsOwner) -> None:
    """Claim the topics for an installation that uses them for the first time; check them at any other start.

    Raises:
        KafkaUnusableError: if they belong to another installation, or their layout is another one.
    """
    owner = await read_owner(options, topics)
    if owner is None:
        await _write(options, topics, {owner_key(own): own})
        owner = await read_owner(options, topics) or own
        if owner.identity == own.identity:
            log.info("topics claimed", prefix=topics.prefix, app_id=own.app_id, cluster=own.cluster_id)
        else:
            # Another first start was quicker.
            await _write(options, topics, {owner_key(own): None})
    if problem := difference(topics, owner, own):
        raise KafkaUnusableError(problem)


async def transfer(options: Mapping[str, Any], topics: Topics, former: TopicsOwner, own: TopicsOwner) -> None:
    """Give the topics of a former owner, none of whose workers runs, to another one."""
    await _write(options, topics, {owner_key(former): None, owner_key(own): own})


def difference(topics: Topics, owner: TopicsOwner, own: TopicsOwner) -> str:
    """Return why an installation must not use topics; "": it may.

    Args:
        topics: their names.
        owner: of the topics.
        own: this installation, as it would own them.
    """
    named = f"the topics {topics.prefix}.* belong"
    since = datetime.fromtimestamp(owner.claimed_at, UTC).strftime("%Y-%m-%d %H:%M UTC")
    if owner.cluster_id != own.cluster_id:
        return (
            f"{named} to an installation on the Kafka cluster {owner.cluster_id}, this is {own.cluster_id}: they are a "
            "copy, and offsets of a copy may differ. Set AFTERSEND_KAFKA_BOOTSTRAP to the right cluster; to go on with "
            "the copy, stop the workers on the other cluster and run `aftersend topics claim`"
        )
    if owner.app_id != own.app_id:
        return (
            f"{named} to the application {owner.app_id!r} since {since}, this is {own.app_id!r}: both would count "
            f"every event. Set AFTERSEND_APP_ID to {owner.app_id!r}, or AFTERSEND_TOPIC_PREFIX to a prefix of its own; "
            f"to rename the application, stop the workers of {owner.app_id!r} and run `aftersend topics claim`"
        )
    if owner.partitions != own.partitions:
        return (
            f"the topic {topics.events} has {own.partitions} partitions, and had {owner.partitions} when its rows were "
            "first written: recipients would be looked for in other partitions than their rows are in. Nothing is lost "
            "as long as the topics stay as they are: docs/guide/operate.md#partitions-were-added says how to go on"
        )
    if owner.format > own.format:
        return (
            f"the rows on {topics.status} have the format {owner.format}, this version of Aftersend reads {own.format}"
            ": install the version that wrote them, or a later one"
        )
    return ""


def installation(app_id: str, cluster_id: str, partitions: int, now: float) -> TopicsOwner:
    """Return an installation of this version as an owner.

    Args:
        app_id: its application id.
        cluster_id: of Kafka.
        partitions: of the events topic.
        now: the wall clock, seconds since 1970.
    """
    return TopicsOwner(app_id, cluster_id, partitions, STATE_FORMAT, now)


async def _owners(options: Mapping[str, Any], topics: Topics) -> list[TopicsOwner]:
    """Return all who have claimed the topics, the first one first."""
    found: dict[bytes, TopicsOwner] = {}

    def apply(_topic: str, _partition: int, records: list[FetchedRecord]) -> None:
        for record in records:
            key = record.key or b""
            if not is_owner_key(key):
                continue
            if record.value is None:
                found.pop(key, None)
            else:
                found.setdefault(key, _decode(record.value))

    with _reported(topics):
        # Claims are no transactions, and need not wait for those of partitions.
        await changelog.read(options, {(topics.positions, 0): None}, apply, isolation="read_uncommitted")
    return list(found.values())


async def _write(options: Mapping[str, Any], topics: Topics, records: Mapping[bytes, TopicsOwner | None]) -> None:
    patches.require()
    with _reported(topics):
        producer = AIOKafkaProducer(**options, acks="all")
        await producer.start()
        try:
            for key, owner in records.items():
                value = None if owner is None else _encode(owner)
                await producer.send_and_wait(topics.positions, value, key, partition=0)
        finally:
            await producer.stop()


@contextmanager
def _reported(topics: Topics) -> Iterator[None]:
    """Turn Kafka's errors into those of a command or a process."""
    try:
        yield
    except (KafkaError, OSError, TimeoutError) as error:
        raise KafkaUnusableError(f"the owner of the topics (on {topics.positions}) can't be read: {error!r}") from error
