"""Checks of Kafka: whether it answers, has transactions, and has the topics; and how the consumer group stands."""

from __future__ import annotations

import statistics
import time
from typing import Any, Final

from aiokafka.errors import KafkaError

from aftersend.config.installation import foreign_topics, raw_sources, topic_layouts
from aftersend.config.settings import Settings
from aftersend.engine import admin
from aftersend.errors import KafkaUnusableError
from aftersend.services.doctor.findings import Finding, failed, ok, warning
from aftersend.services.kafka.lag import LagReader, PartitionLag

#: Seconds to wait for an answer; a doctor has no time for the settings' patience.
_PATIENCE: Final = 10.0
_PINGS: Final = 5
#: An answer that takes longer slows every transaction down, seconds.
_SLOW: Final = 0.1
#: The next record may wait so long before it is worth a word, seconds.
_LATE: Final = 60.0
#: A leader is taken to be away when its clock has not ticked for so many intervals.
_TICKS: Final = 6


def options_of(settings: Settings) -> dict[str, Any]:
    """Return the options of a connection that gives up sooner than the settings say."""
    patience = min(settings.request_timeout, _PATIENCE)
    return settings.kafka_options() | {"request_timeout_ms": int(patience * 1000)}


async def check_kafka(settings: Settings) -> list[Finding]:
    """Check that Kafka answers, and how quickly."""
    check = "Kafka"
    began = time.monotonic()
    try:
        async with admin.connect(options_of(settings)) as client:
            pings = []
            described: dict[str, Any] = {}
            for _ in range(_PINGS):
                sent = time.monotonic()
                described = await client.describe_cluster()
                pings.append(time.monotonic() - sent)
    except KafkaUnusableError as error:
        advice = "start the brokers, or set AFTERSEND_KAFKA_BOOTSTRAP (and AFTERSEND_KAFKA_SECURITY_PROTOCOL, "
        advice += "AFTERSEND_KAFKA_USERNAME, AFTERSEND_KAFKA_PASSWORD, AFTERSEND_KAFKA_CA_FILE)"
        return [failed(check, f"{error}, after {time.monotonic() - began:.1f} s", advice)]
    brokers = len(described.get("brokers", ()))
    ping = statistics.median(pings)
    found = f"{brokers} broker{'s' if brokers != 1 else ''}, cluster {described.get('cluster_id')}, answers in "
    found += f"{ping * 1000:.1f} ms"
    if ping > _SLOW:
        return [warning(check, found, "have workers near the brokers: each batch waits for several answers")]
    return [ok(check, found)]


async def check_transactions(settings: Settings) -> list[Finding]:
    """Check that Kafka gives transactions to this user."""
    check = "Kafka: transactions"
    began = time.monotonic()
    try:
        await admin.inspect(options_of(settings))
    except KafkaUnusableError:
        return [failed(check, "can't be tried: Kafka does not answer", "see Kafka")]
    try:
        await admin.require_transactions(
            options_of(settings), settings.app_id, settings.transaction_timeout, timeout_seconds=_PATIENCE
        )
    except KafkaUnusableError as error:
        return [failed(check, str(error), "without transactions nothing is exactly once; a worker refuses to start")]
    return [ok(check, f"a transactional id was given in {(time.monotonic() - began) * 1000:.0f} ms")]


async def check_topics(settings: Settings) -> list[Finding]:
    """Check that the topics are there and as they should be."""
    check = "topics"
    layouts = topic_layouts(settings)
    try:
        cluster = await admin.inspect(options_of(settings))
        there = {t.name: t for t in await admin.show_topics(options_of(settings), [one.name for one in layouts])}
    except KafkaUnusableError:
        return [failed(check, "can't be looked at: Kafka does not answer", "see Kafka")]
    problems = admin.problems(cluster, settings.topics, layouts)
    advice = "run `aftersend topics apply`; names begin with AFTERSEND_TOPIC_PREFIX"
    findings = [failed(check, problem, advice) for problem in problems]
    foreign = foreign_topics(settings)
    replicas = set()
    fewer: list[str] = []
    for layout in layouts:
        found = there.get(layout.name)
        if found is None:
            continue
        replicas.add(found.replicas)
        if layout.name in foreign:
            continue
        for name, (value, wanted) in admin.differing(layout, found).items():
            told = f"topic {layout.name} has {name}={value or 'not set'}, it should be {wanted}"
            findings.append(warning(check, told, "run `aftersend topics apply`"))
        if found.partitions < layout.partitions:
            fewer.append(f"{layout.name} ({found.partitions})")
    if fewer:
        told = f"fewer partitions than AFTERSEND_PARTITIONS ({settings.partitions}) says: {', '.join(fewer)}"
        findings.append(warning(check, told, "the number can't change: set AFTERSEND_PARTITIONS to what there is"))
    if not findings:
        events = cluster.partitions[settings.topics.events]
        few = f", {min(replicas)} replica{'s' if min(replicas) > 1 else ''} each"
        findings.append(ok(check, f"{len(layouts)} topics as they should be, {events} partitions{few}"))
    return findings


async def check_group(settings: Settings) -> list[Finding]:
    """Check that workers are there, and how far behind they are."""
    check = "workers"
    try:
        async with admin.connect(options_of(settings)) as client:
            state, members = _group(await client.describe_consumer_groups([settings.app_id]))
        async with LagReader(settings, _PATIENCE) as lag:
            topics = settings.topics
            positions = await lag.read([topics.events, topics.clock, *(topics.raw(name) for name in raw_sources())])
    except (KafkaUnusableError, KafkaError) as error:
        return [failed(check, f"can't be asked for ({error})", "see Kafka")]
    group = f"consumer group {settings.app_id} (AFTERSEND_APP_ID)"
    findings = []
    if members:
        many = f"{members} member{'s' if members != 1 else ''}"
        if state == "Stable":
            findings.append(ok(check, f"{group} is stable, {many}"))
        else:
            advice = "look again; if it stays so, see the workers' logs"
            findings.append(warning(check, f"{group} is moving its partitions: {state}, {many}", advice))
    else:
        findings.append(warning(check, f"{group} has no members", "start one: `aftersend worker`"))
    return [*findings, *_behind(positions), *_lost(positions), *_clock(settings, positions, members)]


def _group(responses: Any) -> tuple[str, int]:
    """Return state and number of members of the one group that was asked for."""
    for response in responses:
        for group in response.groups:
            _error, _name, state, _type, _protocol, members = group[:6]
            return str(state), len(members)
    return "unknown", 0


def _behind(positions: list[PartitionLag]) -> list[Finding]:
    check = "workers: lag"
    now = time.time()
    if not positions:
        return [warning(check, "there are no topics to be behind on", "run `aftersend topics apply`")]
    late: dict[str, tuple[int, float]] = {}
    for one in positions:
        if one.lag_seconds(now) > _LATE:
            records, seconds = late.get(one.topic, (0, 0.0))
            late[one.topic] = records + one.waiting, max(seconds, one.lag_seconds(now))
    if not late:
        waiting = sum(one.waiting for one in positions)
        return [ok(check, f"{waiting:,} records wait, none for more than {_LATE:g} s")]
    advice = (
        "start more workers (`aftersend worker --processes 0`, or on more machines), up to one for each partition; "
    )
    advice += "if there are enough, see their logs and /live"
    return [
        warning(check, f"{topic}: {records:,} records wait, the first for {seconds:,.0f} s", advice)
        for topic, (records, seconds) in late.items()
    ]


def _lost(positions: list[PartitionLag]) -> list[Finding]:
    advice = "nothing brings them back; raise AFTERSEND_RAW_RETENTION_DAYS and run `aftersend topics apply`, and don't "
    advice += "leave workers stopped for so long"
    return [
        failed(
            "workers: losses",
            f"{one.lost:,} offsets of {one.topic}, partition {one.partition}, were deleted before they were read",
            advice,
        )
        for one in positions
        if one.lost
    ]


def _clock(settings: Settings, positions: list[PartitionLag], members: int) -> list[Finding]:
    """Judge the leader's clock by what it has written and nobody has read; a group without members has none."""
    ticks = [one for one in positions if one.topic == settings.topics.clock]
    if not members or not ticks or ticks[0].oldest is None:
        return []
    waited = ticks[0].lag_seconds(time.time())
    if waited > _TICKS * settings.clock_interval:
        advice = "see the workers' logs: without ticks nothing expires and no delivery is frozen"
        return [warning("workers: clock", f"a tick has not been read for {waited:.0f} s", advice)]
    return []
