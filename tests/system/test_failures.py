"""What happens when something goes wrong for good, or for a while."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest
from aiokafka import AIOKafkaProducer

from aftersend.engine import changelog
from aftersend.engine.aiokafka.records import FetchedRecord
from aftersend.errors import EXIT_KAFKA, EXIT_OK, EXIT_STATE
from aftersend.sandbox.embedded import EmbeddedKafka
from aftersend.sandbox.embedded.ports import pick_free
from tests.patience import PATIENCE
from tests.system.chaos.installation import Input, Installation
from tests.system.chaos.load import direct_events, raw_records
from tests.system.chaos.workers import WorkerProcess

Install = Callable[..., Installation]
SEED = 7


def _load(installation: Installation, events: int) -> list[Input]:
    return list(direct_events(installation.topics, events, SEED, time.time() - 3600, installation.settings.partitions))


async def _read(installation: Installation, topic: str) -> list[FetchedRecord]:
    """Return all committed records of a topic."""
    read: list[FetchedRecord] = []
    starts: dict[tuple[str, int], int | None] = {(topic, p): None for p in range(installation.settings.partitions)}
    await changelog.read(
        installation.settings.kafka_options(), starts, lambda _topic, _p, records: read.extend(records)
    )
    return read


async def _has_work_in_hand(installation: Installation, worker: WorkerProcess) -> None:
    """Freeze a worker under load where it is sure to begin a transaction, or to be in the midst of one.

    What it has asked for lies in its socket then, or its transaction is open.
    """
    await installation.await_begun()
    worker.pause()
    async with asyncio.timeout(PATIENCE):
        while not await installation.behind(quiet=0.0):
            await asyncio.sleep(0.1)


@pytest.mark.slow
async def test_a_broker_that_was_away_is_waited_for(install: Install, kafka: EmbeddedKafka) -> None:
    """Transactions fail meanwhile, so partitions are restored; the worker lives on, and every number is right."""
    installation = install(transaction_timeout=4.0)
    (worker,) = await installation.start()
    load = _load(installation, 20_000)
    writing = asyncio.create_task(installation.write(load, rate=4_000))
    await _has_work_in_hand(installation, worker)

    await asyncio.to_thread(kafka.kill)
    worker.resume()
    await worker.await_log("partition is restored")
    await asyncio.sleep(installation.settings.session_timeout)
    await asyncio.to_thread(kafka.start, PATIENCE)

    assert len(load) == await writing
    await installation.finish()
    assert [0] == worker.exit_codes
    assert "partition is restored" in worker.log()


@pytest.mark.slow
async def test_a_broker_that_answers_nothing_for_a_while_is_waited_for(install: Install, kafka: EmbeddedKafka) -> None:
    installation = install(transaction_timeout=4.0)
    (worker,) = await installation.start()
    load = _load(installation, 10_000)
    writing = asyncio.create_task(installation.write(load, rate=2_000))
    await _has_work_in_hand(installation, worker)

    kafka.pause()
    worker.resume()
    await worker.await_log("partition is restored")
    await asyncio.sleep(installation.settings.session_timeout)
    kafka.resume()

    assert len(load) == await writing
    await installation.finish()
    assert [0] == worker.exit_codes


@pytest.mark.slow
async def test_a_partition_is_taken_back_from_whoever_the_group_does_not_know(install: Install) -> None:
    """Somebody fences the worker and goes away, as a zombie would that was late to notice that it is one."""
    installation = install(partitions=1)
    (worker,) = await installation.start()
    load = _load(installation, 4_000)
    assert 2_000 == await installation.write(load[:2_000])
    await installation.await_caught_up()

    topic = installation.topics.events
    zombie = AIOKafkaProducer(
        bootstrap_servers=installation.kafka.bootstrap,
        transactional_id=f"{installation.settings.app_id}-track-{topic}-0",
    )
    await zombie.start()
    await zombie.stop()
    assert 2_000 == await installation.write(load[2_000:])

    await worker.await_log("fenced")
    await installation.finish()
    assert 1 == worker.log().count("fenced, but the group still leaves the partition with us")


@pytest.mark.slow
async def test_a_rebalance_in_the_middle_of_a_long_restore(install: Install) -> None:
    """A second worker comes while the first one restores: both end with their share, and nothing is lost."""
    installation = install()
    await installation.start()
    load = _load(installation, 12_000)
    assert 6_000 == await installation.write(load[:6_000])
    await installation.await_caught_up()
    installation.workers[0].kill()

    slow = [installation.add_worker(module="tests.system.chaos.slow_restore") for _ in range(2)]
    slow[0].start()
    await slow[0].await_log("restore is slow")
    slow[1].start()
    assert 6_000 == await installation.write(load[6_000:])
    for worker in slow:
        await worker.await_log("partitions assigned")

    await installation.finish()
    restores = [worker.log().count("restore is slow") for worker in slow]
    assert installation.settings.partitions < sum(restores), f"they were to be interrupted: {restores}"


@pytest.mark.slow
async def test_a_worker_that_wakes_up_after_its_session_has_ended(install: Install) -> None:
    """Its partitions were somebody else's meanwhile and come back to it: what it remembers of them is worth nothing."""
    installation = install()
    first, second = await installation.start(2)
    await second.await_log("partitions assigned")
    load = _load(installation, 20_000)
    writing = asyncio.create_task(installation.write(load, rate=1_500))
    await installation.await_begun()

    assigned = second.log().count("partitions assigned")
    first.pause()
    await second.await_log("partitions assigned", times=assigned + 1)
    second.kill()
    first.resume()

    assert len(load) == await writing
    await installation.finish()


@pytest.mark.slow
async def test_a_topic_that_cannot_be_read_pauses_until_an_operator_resumes_it(install: Install) -> None:
    """What is unreadable stays on its topic, other topics go on, and the worker lives."""
    installation = install(breaker_records=100, partitions=1, breaker_pause=PATIENCE * 10)
    (worker,) = await installation.start()
    topic = installation.topics.raw("kumomta")
    await installation.write([Input(topic, 0, None, b"%d bottles of beer" % i, 1_790_000_000_000) for i in range(200)])
    await worker.await_log("partition paused")

    load = _load(installation, 1_000)
    await installation.write(load)
    while await installation.records_left([installation.topics.events]):
        await asyncio.sleep(0.2)
    assert [] == await _read(installation, installation.topics.dead_letters)
    assert ["stands at 0 of 200" in line for line in await installation.behind()] == [True]

    assert 0 == (await installation.command("sources", "resume", "kumomta"))[0]
    await worker.await_log("partition paused", times=2)
    assert [] == await _read(installation, installation.topics.dead_letters), "it was tried, and is no better"
    worker.terminate()
    assert EXIT_OK == await worker.wait()


@pytest.mark.slow
async def test_junk_with_one_tenants_token_stops_nobody_else(install: Install) -> None:
    """1,100 junk posts with one tenant's token once stopped the worker for everybody, and again after each restart."""
    installation = install(breaker_records=100, partitions=1)
    (worker,) = await installation.start()
    topic, now = installation.topics.raw("tracking"), int(time.time() * 1000)

    def record(tenant: str, value: bytes) -> Input:
        return Input(topic, 0, None, value, now, (("aftersend.tenant", tenant.encode()),))

    honest = [
        record(
            "honest", b'{"event":"delivered","delivery_id":"d","recipient":"%d@b.example","time":%d}' % (i, now // 1000)
        )
        for i in range(300)
    ]
    junk = [record("hostile", b"junk %d" % i) for i in range(1_100)]
    await installation.write([*honest[:100], *junk[:600]])
    await worker.await_log("tenant paused")
    await installation.write([*junk[600:], *honest[100:]])
    report = await installation.finish()

    letters = await _read(installation, installation.topics.dead_letters)
    assert 1_100 == len(letters)
    assert {b"SourceError", b"TenantPausedError"} == {dict(letter.headers)["aftersend.error"] for letter in letters}
    assert 300 == report.rows


async def test_what_cannot_be_read_lies_among_the_dead_letters_untouched(install: Install) -> None:
    installation = install()
    await installation.start()
    topic = installation.topics.raw("kumomta")
    broken = b'\xff\x00{"type":"Deliv'
    headers = (("trace", b"\x01\x02"), ("trace", b"again"))
    good = list(raw_records(installation.topics, 20, SEED, time.time() - 3600, 4))
    await installation.write([*good, Input(topic, 2, b"key\xfe", broken, 1_790_000_000_123, headers)])
    at = sum(1 for record in good if (record.topic, record.partition) == (topic, 2))

    report = await installation.finish()

    letters = [r for r in await _read(installation, installation.topics.dead_letters) if r.value == broken]
    assert [(b"key\xfe", 1_790_000_000_123)] == [(letter.key, letter.timestamp) for letter in letters]
    untouched, ours = letters[0].headers[:2], dict(letters[0].headers[2:])
    assert list(headers) == untouched
    assert (topic.encode(), b"2", str(at).encode()) == (
        ours["aftersend.topic"],
        ours["aftersend.partition"],
        ours["aftersend.offset"],
    )
    assert ours["aftersend.error"]
    assert ours["aftersend.message"]
    assert 1 < report.unreadable, "the simulated campaign has some of its own"


async def test_an_event_that_cannot_be_read_is_a_dead_letter_too(install: Install) -> None:
    installation = install(partitions=1)
    await installation.start()
    await installation.write(
        [
            Input(installation.topics.events, 0, b"a@example.org", b'{"event_id": 17}', 1_790_000_000_000),
            *_load(installation, 50),
        ]
    )
    await installation.finish()
    (letter,) = await _read(installation, installation.topics.dead_letters)
    assert b'{"event_id": 17}' == letter.value


async def test_a_worker_without_its_topics_says_what_to_do(install: Install) -> None:
    installation = install()
    worker = installation.add_worker()
    worker.start()
    assert EXIT_KAFKA == await worker.wait()
    assert "aftersend topics apply" in worker.log()
    assert installation.topics.events in worker.log()


async def test_a_worker_without_kafka_says_where_it_looked(install: Install) -> None:
    (port,) = pick_free(1)
    installation = install(kafka_bootstrap=f"127.0.0.1:{port}")
    worker = installation.add_worker()
    worker.start()
    assert EXIT_KAFKA == await worker.wait()
    assert f"127.0.0.1:{port}" in worker.log()
    assert "AFTERSEND_KAFKA_BOOTSTRAP" in worker.log()
    assert "Traceback" not in worker.log()


async def test_a_worker_stops_before_it_has_begun(install: Install) -> None:
    """SIGTERM at any moment of the start ends it in good order."""
    installation = install()
    await installation.apply_topics()
    for words in ("redis is available", "partition taken over"):
        worker = installation.add_worker()
        worker.start()
        await worker.await_log(words)
        worker.terminate()
        assert 0 == await worker.wait()
        assert "Traceback" not in worker.log()


async def test_a_changelog_that_cannot_be_read_ends_the_worker(install: Install) -> None:
    """Nothing may go on from a state that lacks something."""
    installation = install(partitions=1)
    await installation.apply_topics()
    await installation.write(
        [Input(installation.topics.status, 0, b"d\ta@example.org", b"no state", 1_790_000_000_000)]
    )
    worker = installation.add_worker()
    worker.start()
    assert EXIT_STATE == await worker.wait()
    assert f"{installation.topics.status}, partition 0, offset 0" in worker.log()
