"""Checks of Kafka: availability, transactions, topics, and the consumer group."""

from __future__ import annotations

import statistics
import time
from typing import Any, Final

from aiokafka.errors import KafkaError

from aftersend.config.installation import foreign_topics, raw_sources, topic_layouts
from aftersend.config.settings import Settings
from aftersend.engine import admin
from aftersend.errors import KafkaUnusableError
from aftersend.schemas.topics import TIMESTAMP_GUARD
from aftersend.services.doctor.findings import Finding, failed, ok, warning
from aftersend.services.kafka.lag import LagReader, PartitionLag
from aftersend.tables.missing_state import find_missing_state

#: Time for an answer: a check should not take as long as `request_timeout` allows.
SHORT_TIMEOUT_SECONDS: Final = 10.0
#: Measurements of latency; their median counts.
_PINGS: Final = 5
#: Latency above which transactions are slow, seconds.
_SLOW_SECONDS: Final = 0.1
#: Lag above which to warn, seconds.
_LATE_SECONDS: Final = 60.0
#: Without a tick for so many intervals the leader's clock counts as stopped.
_MISSED_TICKS: Final = 6
_SEE_KAFKA: Final = "see Kafka"
_APPLY: Final = "run `aftersend topics apply`"
_GUARD: Final = (
    "run `aftersend topics apply`: the broker then refuses records from the future. A Kafka before 3.6 can't; there, "
    "have the clocks of all machines that write records in step (NTP)"
)


def options_of(settings: Settings) -> dict[str, Any]:
    """Return connection options with a shorter timeout than the settings'."""
    timeout = min(settings.request_timeout, SHORT_TIMEOUT_SECONDS)
    return settings.kafka_options() | {"request_timeout_ms": int(timeout * 1000)}


async def check_kafka(settings: Settings) -> list[Finding]:
    """Check that Kafka answers, and its latency."""
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
    if ping > _SLOW_SECONDS:
        return [warning(check, found, "run workers near the brokers: each batch waits for several answers")]
    return [ok(check, found)]


async def check_transactions(settings: Settings) -> list[Finding]:
    """Check that this user can use transactions."""
    check = "Kafka: transactions"
    began = time.monotonic()
    try:
        await admin.inspect(options_of(settings))
    except KafkaUnusableError:
        return [failed(check, "not checked: Kafka does not answer", _SEE_KAFKA)]
    try:
        await admin.require_transactions(
            options_of(settings), settings.app_id, settings.transaction_timeout, timeout_seconds=SHORT_TIMEOUT_SECONDS
        )
    except KafkaUnusableError as error:
        return [failed(check, str(error), "exactly-once processing needs transactions; a worker does not start")]
    return [ok(check, f"a transactional id was assigned in {(time.monotonic() - began) * 1000:.0f} ms")]


async def check_topics(settings: Settings) -> list[Finding]:
    """Check that the topics exist, with their partitions and configuration."""
    check = "topics"
    layouts = topic_layouts(settings)
    try:
        cluster = await admin.inspect(options_of(settings))
        shown = await admin.show_topics(options_of(settings), [one.name for one in layouts])
    except KafkaUnusableError:
        return [failed(check, "not checked: Kafka does not answer", _SEE_KAFKA)]
    existing = {topic.name: topic for topic in shown}
    problems = admin.problems(cluster, settings.topics, layouts)
    advice = f"{_APPLY}; AFTERSEND_TOPIC_PREFIX is the prefix of their names"
    findings = [failed(check, problem, advice) for problem in problems]
    findings += _differences(settings, existing)
    if not findings:
        events = cluster.partitions[settings.topics.events]
        replicas = min(topic.replicas for topic in existing.values())
        each = f"{replicas} replica{'s' if replicas > 1 else ''} each"
        findings.append(ok(check, f"{len(layouts)} topics as they should be, {events} partitions, {each}"))
    return findings


def _differences(settings: Settings, existing: dict[str, admin.TopicFound]) -> list[Finding]:
    """Return the differences of our own topics from their layout."""
    check = "topics"
    foreign = foreign_topics(settings)
    findings: list[Finding] = []
    fewer: list[str] = []
    for layout in topic_layouts(settings):
        topic = existing.get(layout.name)
        if topic is None or layout.name in foreign:
            continue
        for name, (value, wanted) in admin.differing(layout, topic).items():
            found = f"topic {layout.name} has {name}={value or 'not set'}, it should be {wanted}"
            findings.append(warning(check, found, _GUARD if name == TIMESTAMP_GUARD else _APPLY))
        if topic.partitions < layout.partitions:
            fewer.append(f"{layout.name} ({topic.partitions})")
    if fewer:
        found = f"fewer partitions than AFTERSEND_PARTITIONS ({settings.partitions}): {', '.join(fewer)}"
        findings.append(warning(check, found, "the number can't change: set AFTERSEND_PARTITIONS to the existing one"))
    return findings


async def check_state(settings: Settings) -> list[Finding]:
    """Check that the changelogs hold the state of the events that the group has folded."""
    check = "state"
    try:
        missing = await find_missing_state(options_of(settings), settings.app_id, settings.topics)
    except (KafkaUnusableError, KafkaError) as error:
        return [failed(check, f"not checked: {error}", _SEE_KAFKA)]
    advice = "workers do not start before it is restored"
    return [failed(check, one, advice) for one in missing] or [
        ok(check, "the changelogs hold the state of what was folded, or nothing was folded yet")
    ]


async def check_group(settings: Settings) -> list[Finding]:
    """Check the members of the consumer group, and their lag."""
    check = "workers"
    topics = settings.topics
    try:
        async with admin.connect(options_of(settings)) as client:
            state, members = _group(await client.describe_consumer_groups([settings.app_id]))
        async with LagReader(settings, SHORT_TIMEOUT_SECONDS) as reader:
            lags = await reader.read([topics.events, topics.clock, *(topics.raw(name) for name in raw_sources())])
    except (KafkaUnusableError, KafkaError) as error:
        return [failed(check, f"not checked: {error}", _SEE_KAFKA)]
    return [_members(settings, state, members), *_behind(lags), *_lost(lags), *_clock(settings, lags, members)]


def _group(responses: Any) -> tuple[str, int]:
    """Return state and number of members of the only group in the responses."""
    for response in responses:
        for group in response.groups:
            _error, _name, state, _type, _protocol, members = group[:6]
            return str(state), len(members)
    return "unknown", 0


def _members(settings: Settings, state: str, members: int) -> Finding:
    check = "workers"
    group = f"consumer group {settings.app_id} (AFTERSEND_APP_ID)"
    if not members:
        return warning(check, f"{group} has no members", "start a worker: `aftersend worker`")
    many = f"{members} member{'s' if members != 1 else ''}"
    if state == "Stable":
        return ok(check, f"{group} is stable, {many}")
    advice = "run the check again; if the rebalance does not end, check the workers' logs"
    return warning(check, f"{group} is rebalancing: {state}, {many}", advice)


def _behind(lags: list[PartitionLag]) -> list[Finding]:
    check = "workers: lag"
    now = time.time()
    if not lags:
        return [warning(check, "there are no topics", _APPLY)]
    late: dict[str, tuple[int, float]] = {}
    for one in lags:
        if one.lag_seconds(now) > _LATE_SECONDS:
            records, seconds = late.get(one.topic, (0, 0.0))
            late[one.topic] = records + one.waiting, max(seconds, one.lag_seconds(now))
    if not late:
        waiting = sum(one.waiting for one in lags)
        return [ok(check, f"{waiting:,} records wait, none for more than {_LATE_SECONDS:g} s")]
    advice = (
        "start more workers, up to one for each partition (`aftersend worker --processes 0`, or on more machines); "
    )
    advice += "if there are enough, check their logs and /live"
    return [
        warning(check, f"{topic}: {records:,} records wait, the first for {seconds:,.0f} s", advice)
        for topic, (records, seconds) in late.items()
    ]


def _lost(lags: list[PartitionLag]) -> list[Finding]:
    advice = "they can't be recovered; raise AFTERSEND_RAW_RETENTION_DAYS and run `aftersend topics apply`, so that "
    advice += "records outlast the longest time without workers"
    return [
        failed(
            "workers: losses",
            f"{one.lost:,} offsets of {one.topic}, partition {one.partition}, were deleted before they were consumed",
            advice,
        )
        for one in lags
        if one.lost
    ]


def _clock(settings: Settings, lags: list[PartitionLag], members: int) -> list[Finding]:
    """Check the ticks of the leader's clock that are not consumed; without members, there is no leader."""
    ticks = [one for one in lags if one.topic == settings.topics.clock]
    if not members or not ticks or ticks[0].oldest is None:
        return []
    waited = ticks[0].lag_seconds(time.time())
    if waited > _MISSED_TICKS * settings.clock_interval:
        advice = "check the workers' logs: without ticks, messages do not expire and deliveries do not become final"
        return [warning("workers: clock", f"a tick has not been consumed for {waited:.0f} s", advice)]
    return []
