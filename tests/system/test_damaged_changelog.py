"""A damaged record of a changelog: the worker refuses it and names the command; it is looked at, skipped, and noted."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import msgspec
import pytest
from aiokafka import AIOKafkaProducer

from aftersend.engine import changelog
from aftersend.engine.aiokafka.records import FetchedRecord
from aftersend.errors import EXIT_OK, EXIT_STATE, EXIT_USAGE
from aftersend.schemas.control import SkippedRecord
from tests.system.chaos.installation import Installation
from tests.system.chaos.load import direct_events

EVENTS = 600


async def last_of(installation: Installation, topic: str, separator: bytes = b"") -> tuple[bytes, FetchedRecord]:
    """Return the last record on partition 0 of a changelog that has a value, and its key."""
    found: list[FetchedRecord] = []

    def apply(_topic: str, _partition: int, records: list[FetchedRecord]) -> None:
        found.extend(record for record in records if record.value and separator in (record.key or b""))

    await changelog.read(installation.settings.kafka_options(), {(topic, 0): None}, apply)
    return found[-1].key or b"", found[-1]


async def write(installation: Installation, topic: str, key: bytes, value: bytes, **options: object) -> int:
    """Write a record to partition 0; return its offset."""
    producer = AIOKafkaProducer(bootstrap_servers=installation.kafka.bootstrap)
    await producer.start()
    try:
        written = await producer.send_and_wait(topic, value, key, partition=0, **options)
    finally:
        await producer.stop()
    return int(written.offset)


async def notes(installation: Installation) -> list[SkippedRecord]:
    found: list[SkippedRecord] = []

    def apply(_topic: str, _partition: int, records: list[FetchedRecord]) -> None:
        found.extend(msgspec.json.decode(record.value or b"", type=SkippedRecord) for record in records)

    await changelog.read(installation.settings.kafka_options(), {(installation.topics.control, 0): None}, apply)
    return found


@pytest.mark.parametrize("store", ["memory", "rocksdb"])
async def test_a_damaged_record_is_refused_looked_at_and_skipped(
    install: Callable[..., Installation], store: str
) -> None:
    installation = install(partitions=2, store=store)
    topics = installation.topics
    (worker,) = await installation.start()
    await installation.write(direct_events(topics, EVENTS, 5, time.time() - 3600, 2))
    await installation.await_caught_up()
    worker.terminate()
    assert EXIT_OK == await worker.wait()

    for number, name in enumerate(("contacts", "status", "kpis"), 1):
        topic = f"{topics.prefix}.{name}"
        key, former = await last_of(installation, topic, b"" if name == "contacts" else b"\t")
        offset = await write(installation, topic, key, b'{"damaged\x1b[31m')
        for _ in range(2):  # a store on disk does not get past it either
            worker.start()
            assert EXIT_STATE == await worker.wait(), worker.tail(20)
            assert f"aftersend changelog show {name} 0 {offset}" in worker.tail(5)
            assert "docs/guide/operate.md#damaged-changelog-records" in worker.tail(5)

        code, said = await installation.command("changelog", "show", name, "0", str(offset))
        assert EXIT_OK == code, said
        assert "readable" in said
        assert "\x1b" not in said
        _, shown = await installation.command("changelog", "show", name, "0", str(offset), "--json")
        assert former.offset in json.loads(shown)["earlier"]
        code, said = await installation.command("changelog", "skip", name, "0", str(former.offset), "--why=x", "--yes")
        assert EXIT_USAGE == code, said

        words = ("changelog", "skip", name, "0", str(offset), "--why", "a test")
        code, said = await installation.command(*words)
        assert EXIT_USAGE == code, said  # nobody has confirmed it
        code, said = await installation.command(*words, "--yes")
        assert EXIT_OK == code, said
        assert json.loads(shown)["lost_if_skipped"][:20] in said

        worker.start()
        await worker.await_log("partitions assigned", times=number + 1)
        await installation.await_caught_up()
        worker.terminate()
        assert EXIT_OK == await worker.wait(), worker.tail(20)
        note = (await notes(installation))[-1]
        assert (topic, 0, offset, "a test") == (note.changelog, note.partition, note.offset, note.why)
        if name == "contacts":
            _, said = await installation.command("recipient", key.decode(), "--json")
            assert not json.loads(said.splitlines()[0]).get("contact")


async def test_a_damaged_record_that_a_later_one_has_replaced_is_in_nobodys_way(
    install: Callable[..., Installation],
) -> None:
    installation = install(partitions=2, store="rocksdb")
    topics = installation.topics
    (worker,) = await installation.start()
    await installation.write(direct_events(topics, EVENTS, 5, time.time() - 3600, 2))
    await installation.await_caught_up()
    worker.terminate()
    assert EXIT_OK == await worker.wait()
    key, record = await last_of(installation, topics.contacts)
    await write(installation, topics.contacts, key, b"damaged")
    await write(installation, topics.contacts, key, record.value or b"")
    worker.start()
    await worker.await_log("partitions assigned", times=2)
    report = await installation.finish()

    assert EVENTS == report.events
