"""Whose the topics are, and whose the keys in Redis: a second installation on either is refused at its start."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
import redis.asyncio as redis_asyncio
from aiokafka import AIOKafkaProducer

from aftersend.engine import admin, ownership
from aftersend.errors import EXIT_FAILED, EXIT_KAFKA, EXIT_OK, EXIT_SETTINGS, KafkaUnusableError
from aftersend.schemas.position import TopicsOwner, owner_key
from aftersend.schemas.topics import TopicLayout, Topics
from tests.system.chaos import slips
from tests.system.chaos.installation import Installation

Install = Callable[..., Installation]


async def refused(installation: Installation, **settings: Any) -> tuple[int, str]:
    """Start a worker that must not run; return its exit code and the end of its log."""
    worker = installation.add_worker(**settings)
    worker.start()
    return await worker.wait(), worker.tail()


@pytest.mark.slow
async def test_a_second_application_on_the_same_topics_is_refused(install: Install) -> None:
    installation = install(partitions=2)
    (worker,) = await installation.start()
    assert 1 == worker.log().count("topics claimed")
    assert 1 == worker.log().count("redis prefix claimed")

    second = slips.add_worker_with_another_app_id(installation)
    second.start()
    assert EXIT_KAFKA == await second.wait()
    assert f"belong to the application '{installation.settings.app_id}' since" in second.log()
    assert "AFTERSEND_APP_ID" in second.log()
    assert "AFTERSEND_TOPIC_PREFIX" in second.log()

    worker.terminate()
    assert EXIT_OK == await worker.wait()
    worker.start()
    await worker.await_assigned()
    assert 1 == worker.log().count("topics claimed"), "the owner starts again without a word"


@pytest.mark.slow
async def test_topics_are_given_to_another_application_by_a_command_only(install: Install) -> None:
    installation = install(partitions=2)
    (worker,) = await installation.start()
    former, renamed = installation.settings.app_id, f"{installation.settings.app_id}-renamed"
    after = Installation(
        installation.kafka, installation.redis, installation.folder, former, partitions=2, app_id=renamed
    )
    code, said = await after.command("topics", "claim")
    assert (EXIT_FAILED, True) == (code, f"'{former}'" in said), said
    assert "stop them first" in said

    worker.terminate()
    await worker.wait()
    code, said = await after.command("topics", "claim", "--json")
    assert EXIT_OK == code, said
    code, said = await refused(installation)
    assert (EXIT_KAFKA, True) == (code, f"belong to the application '{renamed}'" in said), said
    code, said = await refused(installation, app_id=renamed)
    assert (EXIT_SETTINGS, True) == (code, "AFTERSEND_REDIS_PREFIX" in said), said


@pytest.mark.slow
async def test_a_second_installation_on_the_same_redis_prefix_is_refused(
    install: Install, client: redis_asyncio.Redis
) -> None:
    installation = install(partitions=2)
    await client.set(f"{installation.settings.redis_prefix}:owner", "another-cluster/aftersend")
    await installation.apply_topics()
    code, said = await refused(installation)
    assert EXIT_SETTINGS == code
    assert "belong to the installation another-cluster/aftersend" in said
    assert "AFTERSEND_REDIS_PREFIX" in said
    assert "Traceback" not in said


@pytest.fixture
async def topics(install: Install, unique: str) -> tuple[dict[str, Any], Topics]:
    """Return connection options, and a set of topics that nobody has claimed."""
    options = install().settings.kafka_options()
    topics = Topics(unique)
    await admin.apply_topics(options, [TopicLayout(topics.positions, 1, {"cleanup.policy": "compact"}, "")], 1)
    return options, topics


async def test_of_two_first_starts_one_wins(topics: tuple[dict[str, Any], Topics]) -> None:
    candidates = [TopicsOwner(f"app{number}", "cluster", 4) for number in range(4)]
    outcomes = await asyncio.gather(
        *(ownership.claim(*topics, candidate) for candidate in candidates), return_exceptions=True
    )
    owner = await ownership.read_owner(*topics)
    assert [candidate == owner for candidate in candidates] == [outcome is None for outcome in outcomes]
    assert {KafkaUnusableError} == {type(outcome) for outcome in outcomes if outcome is not None}


async def test_processes_of_one_installation_start_together(topics: tuple[dict[str, Any], Topics]) -> None:
    own = TopicsOwner("app", "cluster", 4)
    await asyncio.gather(*(ownership.claim(*topics, own) for _ in range(4)))


async def test_the_claim_of_one_who_lost_and_crashed_is_no_claim(topics: tuple[dict[str, Any], Topics]) -> None:
    options, names = topics
    await ownership.claim(options, names, TopicsOwner("first", "cluster", 4))
    late = TopicsOwner("late", "cluster", 4)
    async with AIOKafkaProducer(**options) as producer:
        await producer.send_and_wait(names.positions, msgspec.json.encode(late), owner_key(late), partition=0)
    await ownership.claim(options, names, TopicsOwner("first", "cluster", 4))
    with pytest.raises(KafkaUnusableError, match="belong to the application 'first'"):
        await ownership.claim(options, names, late)


@pytest.mark.slow
async def test_the_doctor_shows_owners_and_slips(install: Install) -> None:
    installation = install(partitions=2)
    await installation.apply_topics()
    assert {"owner: topics": "nobody yet", "owner: Redis": "nobody yet"} == await found(installation, "owner")
    (worker,) = await installation.start()
    app_id = installation.settings.app_id
    shown = await found(installation, "owner")
    assert shown["owner: topics"].startswith(f"application {app_id} on cluster")
    assert f"/{app_id}, prefix" in shown["owner: Redis"]
    await worker.await_assigned()
    assert {"positions": "the consumer group stands where the partitions do"} == await found(installation, "positions")

    worker.terminate()
    await worker.wait()
    await slips.set_group_back(installation, [installation.topics.clock])
    shown = await found(installation, "positions")
    assert f"{installation.topics.clock}, partition 0: the consumer group was set back by" in shown["positions"]
    code, said = await installation.command("doctor", "--json")
    assert EXIT_OK == code, said


async def found(installation: Installation, check: str) -> dict[str, str]:
    """Return what the doctor has found, by check, up to the first colon."""
    _, said = await installation.command("doctor", "--json")
    findings = json.loads(said)["findings"]
    return {
        one["check"]: one["found"]
        .removesuffix(": the first worker claims them")
        .removesuffix(": the first worker claims the keys")
        for one in findings
        if one["check"].startswith(check)
    }
