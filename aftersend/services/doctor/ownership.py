"""Checks of whose the topics and the keys in Redis are, and whether the consumer group stands where partitions do."""

from __future__ import annotations

from typing import Any, Final

import redis.asyncio as redis_client
from aiokafka.errors import KafkaError
from redis.exceptions import RedisError

from aftersend.config.installation import raw_sources
from aftersend.config.settings import Settings
from aftersend.engine import admin, ownership
from aftersend.engine.partitions.start import LogBounds, OffsetSlip, choose_start
from aftersend.engine.positions import PositionLog
from aftersend.errors import KafkaUnusableError
from aftersend.publish.redis.owner import owner_key
from aftersend.schemas.position import TopicsOwner
from aftersend.services.doctor.findings import Finding, failed, ok, warning
from aftersend.services.doctor.kafka import SHORT_TIMEOUT_SECONDS, options_of
from aftersend.services.kafka.lag import LagReader, PartitionLag
from aftersend.services.kafka.ownership import own_installation

_TIMEOUT_SECONDS: Final = 5.0
_WORDS: Final = {
    OffsetSlip.SET_BACK: "the consumer group was set back by {} offsets",
    OffsetSlip.GROUP_LOST: "the consumer group has lost its offset; {} offsets were processed",
    OffsetSlip.TRUNCATED: "the topic has lost {} offsets that were processed",
}
_SEE_KAFKA: Final = "see Kafka"


async def check_owner(settings: Settings) -> list[Finding]:
    """Check that the topics and the keys in Redis belong to this installation."""
    check = "owner"
    try:
        own = await own_installation(settings)
        owner = await ownership.read_owner(options_of(settings), settings.topics)
    except KafkaUnusableError as error:
        return [failed(check, f"not checked: {error}", _SEE_KAFKA)]
    return [_of_topics(settings, owner, own), *await _of_redis(settings, own)]


def _of_topics(settings: Settings, owner: TopicsOwner | None, own: TopicsOwner) -> Finding:
    check = "owner: topics"
    if owner is None:
        return ok(check, "nobody yet: the first worker claims them")
    if problem := ownership.difference(settings.topics, owner, own):
        return failed(check, problem, "a worker with these settings does not start")
    return ok(check, f"application {owner.app_id} on cluster {owner.cluster_id}, {owner.partitions} partitions")


async def _of_redis(settings: Settings, own: TopicsOwner) -> list[Finding]:
    check = "owner: Redis"
    client = redis_client.from_url(
        settings.redis_url,
        decode_responses=True,
        socket_connect_timeout=_TIMEOUT_SECONDS,
        socket_timeout=_TIMEOUT_SECONDS,
    )
    try:
        owner: Any = await client.get(owner_key(settings.redis_prefix))
    except (RedisError, OSError):
        return []  # another check says so
    finally:
        await client.aclose()
    if owner is None:
        return [ok(check, "nobody yet: the first worker claims the keys")]
    if owner != own.identity:
        found = f"the keys {settings.redis_prefix}:* belong to {owner}, not to {own.identity}"
        return [failed(check, found, "set AFTERSEND_REDIS_PREFIX to a prefix of its own: no worker writes there")]
    return [ok(check, f"{owner}, prefix {settings.redis_prefix}")]


async def check_positions(settings: Settings) -> list[Finding]:
    """Check that the consumer group stands where the partitions have come to."""
    check = "positions"
    topics = settings.topics
    try:
        cluster = await admin.inspect(options_of(settings))
        if topics.positions not in cluster.partitions:
            return []  # another check says so
        log = PositionLog(options_of(settings), topics.positions, cluster.topic_ids, SHORT_TIMEOUT_SECONDS)
        # Read before the group's offsets: those of running workers only grow.
        await log.refresh()
        async with LagReader(settings, SHORT_TIMEOUT_SECONDS) as reader:
            lags = await reader.read([topics.events, topics.clock, *(topics.raw(name) for name in raw_sources())])
    except (KafkaUnusableError, KafkaError) as error:
        return [failed(check, f"not checked: {error}", _SEE_KAFKA)]
    return _slips(log, lags) or [ok(check, "the consumer group stands where the partitions do")]


def _slips(log: PositionLog, lags: list[PartitionLag]) -> list[Finding]:
    """Return what is noticed at the next take-over; records that were deleted are another check's."""
    advice = "nothing is counted twice: workers go on where the partitions stand, and set the group right"
    findings: list[Finding] = []
    for lag in lags:
        position = log.get(lag.topic, lag.partition)
        for slip in choose_start(lag.committed, position, LogBounds(lag.first, lag.end)).slips:
            # While workers run, the group is ahead of what was read a moment before.
            if slip.kind in {OffsetSlip.DELETED, OffsetSlip.SET_FORWARD}:
                continue
            found = f"{lag.topic}, partition {lag.partition}: {_WORDS[slip.kind].format(f'{slip.offsets:,}')}"
            findings.append(warning("positions", found, advice))
    return findings
