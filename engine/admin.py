"""What Aftersend asks of a cluster before it works there: topics as they should be, and transactions."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from engine.errors import KafkaUnusableError
from schemas.topics import TopicLayout


class TopicFound(msgspec.Struct):
    """A topic as the cluster has it."""

    name: str
    partitions: int
    replicas: int
    config: dict[str, str]


class Cluster(msgspec.Struct):
    """A cluster as it was found."""

    id: str
    #: Partitions by topic.
    partitions: dict[str, int]


def _options(options: Mapping[str, Any]) -> dict[str, Any]:
    return dict(options)


async def connect(options: Mapping[str, Any]) -> AIOKafkaAdminClient:
    """Return a started admin client.

    Raises:
        KafkaUnusableError: if no broker can be reached.
    """
    client = AIOKafkaAdminClient(**_options(options))
    try:
        await client.start()
    except (KafkaError, OSError) as error:
        await client.close()
        servers = ",".join(options["bootstrap_servers"])
        message = f"no Kafka broker at {servers} (AFTERSEND_KAFKA_BOOTSTRAP): {error or type(error).__name__}"
        raise KafkaUnusableError(message) from error
    return client


async def inspect(options: Mapping[str, Any]) -> Cluster:
    """Return the cluster's id and the partitions of all its topics.

    Raises:
        KafkaUnusableError: if no broker can be reached.
    """
    client = await connect(options)
    try:
        described = await client.describe_cluster()
        topics = await client.describe_topics()
    finally:
        await client.close()
    return Cluster(
        str(described.get("cluster_id", "")),
        {topic["topic"]: len(topic["partitions"]) for topic in topics if not topic["error_code"]},
    )


async def require_transactions(options: Mapping[str, Any]) -> None:
    """Make sure that the cluster has transactions.

    Raises:
        KafkaUnusableError: if it has not: exactly once can't be had there.
    """
    producer = AIOKafkaProducer(
        **options, transactional_id=f"aftersend-probe-{uuid.uuid4()}", transaction_timeout_ms=1000
    )
    try:
        await producer.start()
    except (KafkaError, OSError, TimeoutError) as error:
        message = (
            "this Kafka gives no transactional producer id, without which nothing here can be exactly once: use "
            "Apache Kafka 2.5 or later (or a compatible broker with transactions), and allow this user "
            f"WRITE on TRANSACTIONAL_ID aftersend-*: {type(error).__name__}: {error}"
        )
        raise KafkaUnusableError(message) from error
    finally:
        await producer.stop()


def missing(cluster: Cluster, wanted: Iterable[TopicLayout]) -> list[str]:
    """Return what is wrong with the cluster's topics, in words; empty: nothing."""
    problems = []
    for layout in wanted:
        found = cluster.partitions.get(layout.name)
        if found is None:
            problems.append(f"topic {layout.name} is missing")
    return problems


async def apply_topics(options: Mapping[str, Any], layouts: Iterable[TopicLayout], replication: int) -> dict[str, str]:
    """Create the topics that are missing and set the configuration of those that are there.

    Returns:
        By topic: `created`, `updated` or `unchanged`.

    Raises:
        KafkaUnusableError: if a topic has another number of partitions than wanted, or Kafka refuses.
    """
    layouts = tuple(layouts)
    client = await connect(options)
    done: dict[str, str] = {}
    try:
        found = {t.name: t for t in await _describe(client, [layout.name for layout in layouts])}
        for layout in layouts:
            there = found.get(layout.name)
            if there is None:
                await _create(client, layout, replication)
                done[layout.name] = "created"
                continue
            if there.partitions != layout.partitions:
                message = (
                    f"topic {layout.name} has {there.partitions} partitions, AFTERSEND_PARTITIONS wants "
                    f"{layout.partitions}: the number can't change, since rows would be looked for elsewhere"
                )
                raise KafkaUnusableError(message)
            differing = {k: v for k, v in layout.config.items() if there.config.get(k) != v}
            if differing:
                # The old request replaces all that was set, so what somebody else has set goes along.
                await client.alter_configs(
                    [ConfigResource(ConfigResourceType.TOPIC, layout.name, configs={**there.config, **layout.config})]
                )
            done[layout.name] = "updated" if differing else "unchanged"
    except KafkaError as error:
        message = f"Kafka refused: {type(error).__name__}: {error}"
        raise KafkaUnusableError(message) from error
    finally:
        await client.close()
    return done


async def _create(client: AIOKafkaAdminClient, layout: TopicLayout, replication: int) -> None:
    response = await client.create_topics(
        [
            NewTopic(
                name=layout.name,
                num_partitions=layout.partitions,
                replication_factor=replication,
                topic_configs=dict(layout.config),
            )
        ]
    )
    for name, code, *rest in response.topic_errors:
        error = for_code(code)
        if code and error is not TopicAlreadyExistsError:
            message = f"topic {name} could not be created: {error.__name__} {rest[0] if rest else ''}"
            raise KafkaUnusableError(message)


async def _describe(client: AIOKafkaAdminClient, names: list[str]) -> list[TopicFound]:
    there = set(await client.list_topics())
    names = [name for name in names if name in there]
    if not names:
        return []
    topics = await client.describe_topics(names)
    configs: dict[str, dict[str, str]] = {}
    for response in await client.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name) for name in names]):
        for _code, _message, _type, name, entries in response.resources:
            # (name, value, read only, source or is default, …): only what was set for this topic
            configs[name] = {entry[0]: entry[1] for entry in entries if _is_set_here(entry)}
    return [
        TopicFound(t["topic"], len(t["partitions"]), len(t["partitions"][0]["replicas"]), configs.get(t["topic"], {}))
        for t in topics
    ]


_DYNAMIC_TOPIC_CONFIG = 1


def _is_set_here(entry: Any) -> bool:  # noqa: ANN401 - a protocol tuple
    source = entry[3]
    return source == _DYNAMIC_TOPIC_CONFIG and source is not True if not isinstance(source, bool) else not source


async def show_topics(options: Mapping[str, Any], names: list[str]) -> list[TopicFound]:
    """Return those of the named topics that exist."""
    client = await connect(options)
    try:
        return await _describe(client, names)
    finally:
        await client.close()
