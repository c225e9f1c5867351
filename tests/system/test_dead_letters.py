"""`aftersend dead-letters` on a real Kafka: what it shows is what was written, and what it replays counts once."""

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from aftersend.engine.dead_letters import HEADERS
from aftersend.errors import EXIT_FAILED, EXIT_KAFKA, EXIT_OK, EXIT_USAGE
from tests.system.chaos.installation import Input, Installation
from tests.system.chaos.slips import delete_records

BROKEN = b'\xff\x00{"type": "Delivery"\r\n'
HEADER = ("hook", b"v1\xff")
GOOD = json.dumps({"event": "open", "id": "e1", "recipient": "a@x.example", "delivery_id": "d", "time": 1_757_000_000})
ARRIVED = int(time.time()) * 1000 - 3_600_000


class Done(NamedTuple):
    code: int
    out: bytes
    err: str

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]


async def run(installation: Installation, *words: str, **settings: str) -> Done:
    environment = {
        "AFTERSEND_KAFKA_BOOTSTRAP": installation.kafka.bootstrap,
        "AFTERSEND_TOPIC_PREFIX": installation.settings.topic_prefix,
        "AFTERSEND_REQUEST_TIMEOUT": "30",
        **settings,
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",
        "-m",
        "aftersend.cli.main",
        "dead-letters",
        *words,
        env={**os.environ, **environment},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return Done(process.returncode or 0, out, err.decode())


async def read(installation: Installation, topic: str) -> list[Any]:
    """Return all records of a topic, in the order of partition and offset."""
    consumer = AIOKafkaConsumer(bootstrap_servers=installation.kafka.bootstrap, isolation_level="read_committed")
    await consumer.start()
    try:
        partitions = [TopicPartition(topic, p) for p in range(installation.settings.partitions)]
        consumer.assign(partitions)
        await consumer.seek_to_beginning()
        ends = await consumer.end_offsets(partitions)
        records: list[Any] = []
        while any([await consumer.position(tp) < ends[tp] for tp in partitions]):
            for found in (await consumer.getmany(timeout_ms=200)).values():
                records += found
    finally:
        await consumer.stop()
    return sorted(records, key=lambda record: (record.partition, record.offset))


def dead(topic: str, value: bytes, offset: int = 0) -> list[tuple[str, bytes]]:
    """Return the headers of a dead letter about a record of partition 1."""
    values = (b"SourceError", b"not understood by 0.0.1", topic.encode(), b"1", str(offset).encode(), b"0.0.1")
    return list(zip(HEADERS, values, strict=True))


async def test_from_the_raw_topic_to_the_dead_letters_and_back(install: Callable[..., Installation]) -> None:
    installation = install()
    await installation.start()
    raw, letters = installation.topics.raw("kumomta"), installation.topics.dead_letters
    await installation.write([Input(raw, 2, b"k", BROKEN, ARRIVED, (HEADER,))])
    await installation.await_caught_up()

    listed = await run(installation, "list", "--json")
    (letter, counts) = listed.lines
    assert EXIT_OK == listed.code
    assert ("SourceError", raw, 2, 0, None) == tuple(
        letter[name] for name in ("error", "topic", "partition", "offset", "replayed")
    )
    assert {"letters": 1, "of_replays": 0, "counts": [{"topic": raw, "error": "SourceError", "letters": 1}]} == counts

    for place in (letter["place"], letter["place"].removeprefix(f"{letters}-").replace("-", ":"), f"{raw}-2-0"):
        assert BROKEN == (await run(installation, "show", place, "--raw")).out
    shown = (await run(installation, "show", letter["place"])).out.decode()
    assert BROKEN[:16].hex(" ") in shown
    assert "header hook" in shown

    tried = await run(installation, "replay", "--dry-run", "--json")
    assert (1, 0) == (tried.lines[0]["letters"], tried.lines[0]["written"])
    assert 1 == len(await read(installation, raw))

    replayed = await run(installation, "replay", "--yes")
    assert EXIT_OK == replayed.code, replayed.err
    first, again = await read(installation, raw)
    assert (2, b"k", BROKEN, ARRIVED) == (again.partition, again.key, again.value, again.timestamp)
    assert (HEADER,) == first.headers
    assert (HEADER, ("aftersend.replayed", f"{raw}-2-0".encode())) == again.headers

    await installation.await_caught_up()
    lines = (await run(installation, "list", "--json")).lines
    assert [None, f"{raw}-2-0"] == sorted((line["replayed"] for line in lines[:-1]), key=str)
    assert (2, 1) == (lines[-1]["letters"], lines[-1]["of_replays"])
    # The one that came of a replay is left out: else each replay would double what the next one writes.
    assert 1 == (await run(installation, "replay", "--yes", "--json")).lines[0]["written"]
    await installation.await_caught_up()
    assert 3 == (await run(installation, "replay", "--dry-run", "--replayed", "--json")).lines[0]["letters"]
    report = await installation.finish()
    assert 3 == report.unreadable


async def test_a_record_too_large_for_a_letter_is_shown_and_replayed_from_its_own_topic(
    install: Callable[..., Installation],
) -> None:
    installation = install()
    await installation.start()
    raw = installation.topics.raw("kumomta")
    large = b"{" + b"x" * 1_010_000
    await installation.write([Input(raw, 2, b"k", large, ARRIVED, (HEADER,))])
    await installation.await_caught_up()

    (letter, _) = (await run(installation, "list", "--json")).lines
    assert len(large) < letter["left_out_bytes"] < len(large) + 100
    place = f"{raw}-2-0"
    assert large == (await run(installation, "show", place, "--raw")).out
    assert "too large for a letter" in (await run(installation, "show", place)).out.decode()

    assert 1 == (await run(installation, "replay", "--yes", "--json")).lines[0]["written"]
    first, again = await read(installation, raw)
    assert (first.partition, first.key, first.value) == (again.partition, again.key, again.value)
    assert (HEADER, ("aftersend.replayed", place.encode())) == again.headers

    await installation.await_caught_up()
    await delete_records(installation, raw, 2, 1)
    replayed = await run(installation, "replay", "--yes", "--json")
    assert (EXIT_FAILED, 0, [place]) == (replayed.code, replayed.lines[0]["written"], replayed.lines[0]["lost"])


async def test_a_repaired_record_counts_once_in_repeated_replays(
    install: Callable[..., Installation],
) -> None:
    installation = install()
    await installation.start()
    raw = installation.topics.raw("tracking")
    letter = Input(
        installation.topics.dead_letters, 1, b"a@x.example", GOOD.encode(), ARRIVED, tuple(dead(raw, GOOD.encode()))
    )
    await installation.write([letter])

    for _ in range(2):
        assert EXIT_OK == (await run(installation, "replay", "--yes", "--source", "tracking")).code

    await installation.await_caught_up()
    assert [(1, ARRIVED)] * 2 == [(record.partition, record.timestamp) for record in await read(installation, raw)]
    code, output = await installation.command("kpi", "d", "--from", "kafka", "--json")
    result = json.loads(output)
    assert EXIT_OK == code
    assert (1, 1) == (result["kpis"]["total_opens"], result["kpis"]["unique_opens"])
    assert {"applied": 1, "duplicate": 1} == {name: n for name, n in result["decisions"].items() if n}


async def test_filters_and_limits_select_committed_dead_letters(install: Callable[..., Installation]) -> None:
    installation = install()
    await installation.apply_topics()
    raw, letters = installation.topics.raw("kumomta"), installation.topics.dead_letters
    hour = 3_600_000
    await installation.write(
        Input(letters, i % 4, None, b"x" * i, ARRIVED - i * hour, tuple(dead(raw, b"", i))) for i in range(40)
    )
    producer = AIOKafkaProducer(bootstrap_servers=installation.kafka.bootstrap, transactional_id=f"{letters}-aborted")
    await producer.start()
    await producer.begin_transaction()
    await producer.send_and_wait(letters, b"never", partition=0, headers=dead(raw, b"", 99))
    await producer.abort_transaction()
    await producer.stop()

    everything = (await run(installation, "list", "--json", "--limit", "100")).lines
    assert list(range(40)) == [line["offset"] for line in everything[:-1]]
    assert 40 == everything[-1]["letters"]
    some = (await run(installation, "list", "--json", "--since", "11h", "--until", "5h", "--limit", "2")).lines
    assert [4, 5] == [line["offset"] for line in some[:-1]]
    assert 6 == some[-1]["letters"]
    none = await run(installation, "list", "--error", "something else")
    assert b"no matching dead letters" in none.out
    # 0.0.1 is in the message of all of them.
    few = await run(installation, "replay", "--error", "by 0.0.1", "--limit", "7", "--yes", "--json")
    assert 7 == few.lines[0]["written"]
    assert 7 == len(await read(installation, raw))
    assert b"letters-0-10" not in (await run(installation, "show", "0:10")).out


async def test_errors_are_one_line(install: Callable[..., Installation]) -> None:
    installation = install()
    await installation.apply_topics()
    gone = Input(installation.topics.dead_letters, 0, None, b"x", ARRIVED, tuple(dead("gone", b"")))
    await installation.write([gone])

    for words, settings, code, words_of_error in (
        (("show", "0:7"), {}, EXIT_FAILED, "there is no dead letter at"),
        (("show", "7"), {}, EXIT_USAGE, "'7' is not a position"),
        (("replay",), {}, EXIT_USAGE, "give --yes"),
        (("replay", "--yes"), {}, EXIT_KAFKA, "comes from the topic gone, which is missing"),
        (("list", "--source", "nobody"), {}, EXIT_USAGE, "there is no source 'nobody'"),
        (("list",), {"AFTERSEND_TOPIC_PREFIX": "nothing-here"}, EXIT_KAFKA, "run `aftersend topics apply`"),
        (("list",), {"AFTERSEND_KAFKA_BOOTSTRAP": "127.0.0.1:1"}, EXIT_KAFKA, "(AFTERSEND_KAFKA_BOOTSTRAP)"),
    ):
        done = await run(installation, *words, **settings)
        assert code == done.code, words
        assert words_of_error in done.err
        assert 1 == len(done.err.splitlines())
