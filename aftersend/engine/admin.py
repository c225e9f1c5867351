"""Administration of a Kafka cluster: topics, their configuration, and whether it has transactions."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, Literal

import msgspec
import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    InvalidConfigurationError,
    InvalidTransactionTimeout,
    KafkaError,
    TopicAlreadyExistsError,
    for_code,
)

from aftersend.engine.aiokafka import patches
from aftersend.engine.aiokafka.topic_ids import topic_ids
from aftersend.errors import KafkaUnusableError
from aftersend.schemas.topics import TIMESTAMP_GUARD, TopicLayout, Topics

log = structlog.get_logger(__name__)

#: Longest time until all brokers list a new topic, seconds; usually it is less than one.
_PROPAGATION_SECONDS: Final = 10.0
_POLL_SECONDS: Final = 0.1
#: Value of the protocol's `ConfigSource`: the setting was made for this topic, not by the broker's defaults.
_SET_FOR_TOPIC: Final = 1
#: Time for a cluster to give a transactional producer id, seconds; it makes its transaction log first.
_PROBE_SECONDS: Final = 30.0


class TopicFound(msgspec.Struct):
    """A topic of the cluster."""

    name: str
    partitions: int
    replicas: int
    #: Settings made for this topic, without the broker's defaults.
    config: dict[str, str]


class Cluster(msgspec.Struct):
    """Id and topics of a cluster."""

    id: str
    #: Partitions by topic.
    partitions: dict[str, int]
    #: Ids of topics, as far as the brokers tell them (`aftersend.engine.aiokafka.topic_ids`).
    topic_ids: dict[str, str] = {}


class AppliedTopic(msgspec.Struct):
    """Result of `apply_topics` for one topic."""

    name: str
    result: Literal["created", "updated", "unchanged"]
    #: By setting: its former value (None: not set) and its new one.
    changed: dict[str, tuple[str | None, str]] = {}


@asynccontextmanager
async def connect(options: Mapping[str, Any]) -> AsyncIterator[AIOKafkaAdminClient]:
    """Yield a connected admin client.

    Raises:
        KafkaUnusableError: if no broker can be reached, or a request fails; also from the body.
    """
    servers = ",".join(options["bootstrap_servers"])
    patches.require()
    client = AIOKafkaAdminClient(**options)
    try:
        try:
            await client.start()
        except (KafkaError, OSError) as error:
            raise KafkaUnusableError(
                f"no Kafka broker at {servers} (AFTERSEND_KAFKA_BOOTSTRAP): {_describe_error(error)}"
            ) from error
        yield client
    except (KafkaError, OSError, TimeoutError) as error:
        raise KafkaUnusableError(f"Kafka at {servers} refused: {_describe_error(error)}") from error
    finally:
        await client.close()


def _describe_error(error: BaseException) -> str:
    text = str(error)
    name = type(error).__name__
    return text if name in text else f"{name}: {text}" if text else name


async def inspect(options: Mapping[str, Any]) -> Cluster:
    """Return the cluster's id and the partitions of all its topics.

    Raises:
        KafkaUnusableError: if no broker can be reached.
    """
    async with connect(options) as client:
        described = await client.describe_cluster()
        topics = await client.describe_topics()
        partitions = {topic["topic"]: len(topic["partitions"]) for topic in topics if not topic["error_code"]}
        ids = await topic_ids(client, partitions)
    return Cluster(str(described.get("cluster_id", "")), partitions, ids)


async def count_members(options: Mapping[str, Any], group: str) -> int:
    """Return the number of members of a consumer group.

    Raises:
        KafkaUnusableError: if no broker can be reached.
    """
    async with connect(options) as client:
        responses = await client.describe_consumer_groups([group])
    return sum(len(found[5]) for response in responses for found in response.groups)


async def require_transactions(
    options: Mapping[str, Any],
    app_id: str,
    transaction_timeout: float,
    timeout_seconds: float = _PROBE_SECONDS,
) -> None:
    """Check that the cluster has transactions.

    Args:
        options: of the connection, as aiokafka's clients take them.
        app_id: prefix of the transactional id that is tried, as of all others.
        transaction_timeout: seconds; brokers have a limit.
        timeout_seconds: to wait for the answer. A cluster that can't make its transaction log never answers.

    Raises:
        KafkaUnusableError: if it has no transactions, so that nothing would be exactly once.
    """
    patches.require()
    producer = AIOKafkaProducer(
        **options, transactional_id=f"{app_id}-probe", transaction_timeout_ms=int(transaction_timeout * 1000)
    )
    try:
        async with asyncio.timeout(timeout_seconds):
            await producer.start()
    except InvalidTransactionTimeout as error:
        raise KafkaUnusableError(
            f"the broker allows no transaction of {transaction_timeout:g} s: lower AFTERSEND_TRANSACTION_TIMEOUT, or "
            "raise the broker's transaction.max.timeout.ms"
        ) from error
    except (KafkaError, OSError, TimeoutError) as error:
        raise KafkaUnusableError(
            "this Kafka gives no transactional producer id, without which nothing here can be exactly once: use "
            "Apache Kafka 2.5 or later (or a compatible broker with transactions), allow this user WRITE on "
            f"transactional ids that begin with {app_id}-, and have as many brokers as "
            f"transaction.state.log.replication.factor asks for ({_describe_error(error)})"
        ) from error
    finally:
        await producer.stop()


def problems(cluster: Cluster, topics: Topics, wanted: Iterable[TopicLayout]) -> list[str]:
    """Return messages on what is wrong with the cluster's topics; empty: nothing.

    Args:
        cluster: its present topics.
        topics: names of the topics.
        wanted: all topics that should exist.
    """
    found = cluster.partitions
    result = [
        f"topic {layout.name} is missing: run `aftersend topics apply` first"
        for layout in wanted
        if layout.name not in found
    ]
    events = found.get(topics.events)
    if events is None:
        return result
    result += [
        f"topic {name} has {found[name]} partitions and {topics.events} has {events}: the state of each partition of "
        f"the events lies in the same partition of {name}, so their numbers must be equal, and the number can't be "
        "changed yet. Keep all of them, since they are the only copy of the state; docs/guide/operate.md"
        "#partitions-were-added says how to go on with it"
        for name in (topics.status, topics.contacts, topics.kpis)
        if found.get(name, events) != events
    ]
    if found.get(topics.dead_letters, events) < events:
        result.append(
            f"topic {topics.dead_letters} has {found[topics.dead_letters]} partitions, it needs the {events} of "
            f"{topics.events}"
        )
    if found.get(topics.clock, 1) != 1:
        result.append(f"topic {topics.clock} has {found[topics.clock]} partitions, it needs 1: its owner is the leader")
    return result


def differing(layout: TopicLayout, found: TopicFound) -> dict[str, tuple[str | None, str]]:
    """Return the settings that differ: the present value and the wanted one, by setting."""
    return {
        name: (found.config.get(name), value)
        for name, value in layout.config.items()
        if found.config.get(name) != value
    }


async def apply_topics(
    options: Mapping[str, Any],
    layouts: Iterable[TopicLayout],
    replication: int,
    foreign: frozenset[str] = frozenset(),
) -> list[AppliedTopic]:
    """Create missing topics and set the configuration of existing ones.

    Args:
        options: of the connection, as aiokafka's clients take them.
        layouts: of all topics that should exist.
        replication: replicas of each; -1: the broker's default.
        foreign: topics that others configure: created if missing, never changed.

    Raises:
        KafkaUnusableError: if a topic has another number of partitions than wanted (nothing is changed then), or Kafka
            rejects a request.
    """
    layouts = tuple(layouts)
    async with connect(options) as client:
        found = {t.name: t for t in await _topics(client, [layout.name for layout in layouts])}
        for layout in layouts:
            there = found.get(layout.name)
            if there is not None and there.partitions != layout.partitions and layout.name not in foreign:
                raise KafkaUnusableError(
                    f"topic {layout.name} has {there.partitions} partitions, AFTERSEND_PARTITIONS wants "
                    f"{layout.partitions}: the number can't change, since keys would move to other partitions"
                )
        done = [await _apply(client, layout, found.get(layout.name), replication, foreign) for layout in layouts]
        await _await_topics(client, {layout.name for layout in layouts})
    return done


async def _apply(
    client: AIOKafkaAdminClient,
    layout: TopicLayout,
    there: TopicFound | None,
    replication: int,
    foreign: frozenset[str],
) -> AppliedTopic:
    if there is None:
        await _create(client, layout, replication)
        return AppliedTopic(layout.name, "created")
    changed = differing(layout, there)
    if not changed or layout.name in foreign:
        return AppliedTopic(layout.name, "unchanged")
    # aiokafka has only the old request, which replaces all settings: those that others have made are repeated.
    resource = ConfigResource(ConfigResourceType.TOPIC, layout.name, configs={**there.config, **layout.config})
    for response in await client.alter_configs([resource]):
        for code, message, *_ in response.resources:
            if for_code(code) is InvalidConfigurationError and TIMESTAMP_GUARD in layout.config:
                return await _apply(client, _without_guard(layout), there, replication, foreign)
            if code:
                raise KafkaUnusableError(
                    f"topic {layout.name} could not be changed: {for_code(code).__name__} {message or ''}"
                )
    return AppliedTopic(layout.name, "updated", changed)


def _without_guard(layout: TopicLayout) -> TopicLayout:
    """Return the layout for a Kafka that has no guard against timestamps from the future (before 3.6)."""
    log.warning("this Kafka has no guard against timestamps from the future", topic=layout.name, since="3.6")
    config = {name: value for name, value in layout.config.items() if name != TIMESTAMP_GUARD}
    return TopicLayout(layout.name, layout.partitions, config, layout.purpose)


async def _create(client: AIOKafkaAdminClient, layout: TopicLayout, replication: int) -> None:
    topic = NewTopic(layout.name, layout.partitions, replication_factor=1, topic_configs=dict(layout.config))
    topic.replication_factor = replication  # the constructor does not accept -1, the broker's default
    response = await client.create_topics([topic])
    for name, code, *message in response.topic_errors:
        error = for_code(code)
        if error is InvalidConfigurationError and TIMESTAMP_GUARD in layout.config:
            await _create(client, _without_guard(layout), replication)
        elif code and error is not TopicAlreadyExistsError:  # another process applies them at the same time
            raise KafkaUnusableError(
                f"topic {name} could not be created: {error.__name__} {message[0] if message and message[0] else ''}"
            )


async def _await_topics(client: AIOKafkaAdminClient, names: set[str]) -> None:
    """Wait until the cluster lists the topics, so that a worker started right after finds them."""
    deadline = time.monotonic() + _PROPAGATION_SECONDS
    while names - set(await client.list_topics()) and time.monotonic() < deadline:  # noqa: ASYNC110 - Kafka has no event for it
        await asyncio.sleep(_POLL_SECONDS)


async def _topics(client: AIOKafkaAdminClient, names: list[str]) -> list[TopicFound]:
    there = set(await client.list_topics())
    names = [name for name in names if name in there]
    if not names:
        return []
    topics = await client.describe_topics(names)
    configs: dict[str, dict[str, str]] = {}
    for response in await client.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name) for name in names]):
        for _code, _message, _type, name, entries in response.resources:
            configs[name] = {key: value for key, value, _, source, *_ in entries if source == _SET_FOR_TOPIC}
    return [
        TopicFound(t["topic"], len(t["partitions"]), len(t["partitions"][0]["replicas"]), configs.get(t["topic"], {}))
        for t in topics
    ]


async def show_topics(options: Mapping[str, Any], names: list[str]) -> list[TopicFound]:
    """Return the named topics that exist."""
    async with connect(options) as client:
        return await _topics(client, names)
