"""Compares what two checkouts make of the same raw records, byte for byte.

    python -m tests.compare_outputs raw raw.jsonl                     # the input: campaigns of a fixed seed
    python -m tests.compare_outputs memory ../old raw.jsonl old.txt   # parse and fold in memory: seconds
    python -m tests.compare_outputs kafka ../old raw.jsonl old.txt    # one worker on an embedded Kafka: minutes
    python -m tests.compare_outputs compare old.txt new.txt           # exit code 1 if anything differs

A checkout needs a `.venv` of its own. Its modules may have other names than those here.

A dump has one line for each key of the status, contacts and KPI topics: the last value and its headers; and one line
for each event. Offsets and the version of a KPI record are left out, since they depend on the boundaries of batches.

The input consists of phases. The records of a phase belong to one source and go to partition 0 of its raw topic. A
phase starts when the one before has been folded. So the events have the same order in every run.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import msgspec
from aiokafka import AIOKafkaProducer

from aftersend.config.installation import topic_layouts
from aftersend.config.loading import load
from aftersend.config.settings import Settings
from aftersend.engine import admin, changelog
from aftersend.engine.aiokafka import patches
from aftersend.engine.aiokafka.records import FetchedRecord
from aftersend.sandbox.embedded import EmbeddedKafka
from aftersend.sandbox.reference.progress import committed_offsets
from aftersend.sandbox.simulation.campaign import simulate_campaign
from aftersend.schemas.event import NOT_SENT_REASONS

#: A Sunday in September 2025, noon.
START: Final = 1757851200.0
HOUR: Final = 3600.0
DAY: Final = 24 * HOUR
#: The records of one phase arrive within this time.
PHASE: Final = 12 * HOUR
DURATION: Final = 3 * DAY
#: Ticks after the campaigns: response windows end, deliveries freeze, rows of an old delivery are forgotten.
LATER: Final = (4 * DAY, 7 * DAY, 31 * DAY, 90 * DAY)
SOURCES: Final = ("kumomta", "sendgrid", "ses")
CLOCK: Final = "clock"
PREFIX: Final = "compare"
PARTITIONS: Final = 2
#: Seconds until a phase has been folded, on a slow machine.
TIMEOUT: Final = 600.0
FOLD_IN_MEMORY: Final = Path(__file__).with_name("fold_in_memory.py")


class Raw(msgspec.Struct):
    """A raw record."""

    source: str
    timestamp_ms: int
    value: bytes
    key: bytes | None = None
    phase: int = 0


def campaigns(recipients: int, seed: int) -> Iterator[Raw]:
    """Yield the raw records of some campaigns, in phases."""
    records = [record for source in SOURCES for record in _simulated(source, recipients, seed)]
    records += _of_senders_and_operators(records)
    records += [_tick(START + number * PHASE) for number in range(int(DURATION / PHASE))]
    records += [_tick(START + later) for later in LATER]
    records.sort(key=lambda record: (*_window(record), record.timestamp_ms))
    for number, (_, phase) in enumerate(groupby(records, _window)):
        for record in phase:
            record.phase = number
            yield record


def _window(record: Raw) -> tuple[int, bool, str]:
    return int(record.timestamp_ms / 1000 // PHASE), record.source == CLOCK, record.source


def _simulated(source: str, recipients: int, seed: int) -> Iterator[Raw]:
    for record in simulate_campaign(recipients, 4, seed, START, duration=DURATION, source=source):
        value = b"[" + record.value + b"]" if record.source == "sendgrid" else record.value  # which posts lists
        yield Raw(record.source, record.timestamp_ms, value, record.key)


def _of_senders_and_operators(records: Iterable[Raw]) -> Iterator[Raw]:
    """Yield declarations, reasons for not sending, subscriptions, and releases from quarantine."""
    addresses = sorted({r.key.decode() for r in records if r.source == "tracking" and r.key})
    for number, delivery in enumerate(("newsletter", "welcome-ses", "autumn-sale-sendgrid")):
        fields = {"type": "delivery", "delivery_id": delivery, "message_type": "campaign"}
        changed = {"validity_hours": 6, "statistics_update_period_days": 20}
        yield _json("sender", START + HOUR, fields | {"event_id": f"declared-{number}"}, delivery)
        yield _json("sender", START + DAY, fields | changed | {"event_id": f"changed-{number}"}, delivery)
    for number, address in enumerate(addresses):
        fields = {"delivery_id": "newsletter", "recipient": address}
        reason = NOT_SENT_REASONS[number % len(NOT_SENT_REASONS)]
        kind = ("planned", "not_sent", "unsubscribed", "resubscribed", "failed")[number % 5]
        yield _json("sender", START + 2 * HOUR + number, fields | {"type": kind, "reason": reason}, address)
        released = {"event": "release", "recipient": address, "by": "an operator", "why": "a test"}
        at = START + DURATION + number
        yield _json("operations", at, released | {"time": at}, address)


def _json(source: str, at: float, fields: dict[str, Any], key: str) -> Raw:
    return Raw(source, int(at * 1000), json.dumps(fields).encode(), key.encode())


def _tick(at: float) -> Raw:
    return Raw(CLOCK, int(at * 1000), json.dumps({"tick": at}).encode())


# Through Kafka.


async def run_with_kafka(checkout: Path, records: list[Raw]) -> list[str]:
    """Run a checkout's worker on raw records; return the dump."""
    with tempfile.TemporaryDirectory(prefix="aftersend-compare-") as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        kafka = stack.enter_context(EmbeddedKafka(folder / "kafka"))
        chosen: dict[str, Any] = {
            "app_id": PREFIX,
            "topic_prefix": PREFIX,
            "kafka_bootstrap": kafka.bootstrap,
            "redis_url": "redis://127.0.0.1:1",  # nobody is there, which folding does not notice
            "partitions": PARTITIONS,
            "raw_retention_days": 36_500,  # the records are old: Kafka must not delete them before they are read
            "clock_interval": 1e6,  # the only ticks are those of the input
            "clock_max_step": 1e10,  # with days from one to the next
            "web_port": 0,
            "data_dir": str(folder),
        }
        settings = load(**chosen)
        await admin.apply_topics(settings.kafka_options(), topic_layouts(settings), 1)
        stack.enter_context(_worker(checkout, chosen, folder / "worker.log"))
        for phase, group in groupby(records, lambda record: record.phase):
            await _write(settings, list(group))
            await _wait_until_folded(settings, phase)
        return await _dump_topics(settings)


@contextlib.contextmanager
def _worker(checkout: Path, chosen: dict[str, Any], log: Path) -> Iterator[None]:
    environment = {f"AFTERSEND_{name.upper()}": str(value) for name, value in chosen.items()}
    with log.open("ab") as output:
        process = subprocess.Popen(
            [checkout.resolve() / ".venv/bin/aftersend", "worker"],
            cwd=checkout,
            env=os.environ | environment,
            stdout=output,
            stderr=output,
        )
    try:
        yield
    except BaseException:
        sys.stderr.write(log.read_text(errors="replace")[-4000:])
        raise
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


async def _write(settings: Settings, records: list[Raw]) -> None:
    producer = AIOKafkaProducer(**settings.kafka_options(), enable_idempotence=True)
    await producer.start()
    sent = []
    try:
        for record in records:
            topic = settings.topics.raw(record.source)
            sent.append(
                await producer.send(topic, record.value, record.key, partition=0, timestamp_ms=record.timestamp_ms)
            )
        await asyncio.gather(*sent)
    finally:
        await producer.stop()


async def _wait_until_folded(settings: Settings, phase: int) -> None:
    """Wait until no committed record of the input or of the events topic is left to fold."""
    cluster = await admin.inspect(settings.kafka_options())
    topics = settings.topics
    names = [name for name in cluster.partitions if name.startswith(topics.raw(""))]
    keys = [(name, number) for name in [topics.events, *names] for number in range(cluster.partitions[name])]
    left = 0

    def count(_topic: str, _partition: int, found: list[FetchedRecord]) -> None:
        nonlocal left
        left += len(found)

    deadline = time.monotonic() + TIMEOUT
    while time.monotonic() < deadline:
        left = 0
        starts: dict[tuple[str, int], int | None] = {**await committed_offsets(settings, keys)}
        await changelog.read(settings.kafka_options(), starts, count)
        if not left:
            return
        await asyncio.sleep(0.2)
    raise TimeoutError(f"phase {phase}: {left} records are left after {TIMEOUT:g} s")


async def _dump_topics(settings: Settings) -> list[str]:
    topics = settings.topics
    last: dict[tuple[str, int, bytes], str] = {}
    events: list[str] = []

    def apply(topic: str, partition: int, records: list[FetchedRecord]) -> None:
        for record in records:
            key = record.key or b""
            if topic == topics.events:
                # The index stands for the offset, which depends on the transactions' markers.
                events.append(f"events {partition} {record.timestamp} {key!r} {record.value!r}")
            else:
                last[topic, partition, key] = line(topic.rpartition(".")[2], key, record.value, record.headers)

    names = (topics.events, topics.status, topics.contacts, topics.kpis)
    keys: dict[tuple[str, int], int | None] = {(name, number): None for name in names for number in range(PARTITIONS)}
    await changelog.read(settings.kafka_options(), keys, apply)
    return [*(f"{partition} {text}" for (_, partition, _), text in sorted(last.items())), *events]


# In memory.


def run_in_memory(checkout: Path, raw: Path) -> list[str]:
    """Parse and fold raw records with a checkout's code, without Kafka; return the dump."""
    command = [checkout.resolve() / ".venv/bin/python", FOLD_IN_MEMORY, raw.resolve()]
    environment = os.environ | {"PYTHONPATH": str(checkout.resolve())}
    done = subprocess.run(command, cwd=checkout, env=environment, stdout=subprocess.PIPE, check=True)
    records = msgspec.json.decode(done.stdout, type=list[tuple[str, bytes, bytes | None, list[tuple[str, bytes]]]])
    return [line(*record) for record in records]


# Dumps.


def line(topic: str, key: bytes, value: bytes | None, headers: Iterable[tuple[str, bytes | None]]) -> str:
    """Return a record as a line of a dump."""
    if topic == "kpis" and value is not None and b'"version":' in value:
        fields = msgspec.json.decode(value)
        del fields["version"]
        value = json.dumps(fields).encode()
        headers = [(name, _without_version(header or b"")) for name, header in headers]
    return f"{topic} {key!r} {value!r} {list(headers)!r}"


def _without_version(header: bytes) -> bytes:
    fields = msgspec.msgpack.decode(header, strict=False)
    fields.pop("version", None)
    # A histogram's order is that of the first batch with each key.
    return repr({name: sorted(v.items()) if isinstance(v, dict) else v for name, v in fields.items()}).encode()


def differences(one: list[str], other: list[str]) -> list[str]:
    """Return the lines that only one of two dumps has."""
    left, right = set(one), set(other)
    return [*(f"- {text}" for text in one if text not in right), *(f"+ {text}" for text in other if text not in left)]


def main() -> int:
    """Run a command; return the exit code."""
    patches.apply()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    raw = commands.add_parser("raw")
    raw.add_argument("output", type=Path)
    raw.add_argument("--recipients", type=int, default=400)
    raw.add_argument("--seed", type=int, default=7)
    for name in ("memory", "kafka"):
        run = commands.add_parser(name)
        for argument in ("checkout", "raw", "output"):
            run.add_argument(argument, type=Path)
    compare = commands.add_parser("compare")
    compare.add_argument("dumps", type=Path, nargs=2)
    options = parser.parse_args()
    if options.command == "compare":
        found = differences(*(path.read_text().splitlines() for path in options.dumps))
        sys.stdout.write("".join(f"{text[:2000]}\n" for text in found[:20]) + f"{len(found)} lines differ\n")
        return 1 if found else 0
    if options.command == "raw":
        lines = [msgspec.json.encode(record).decode() for record in campaigns(options.recipients, options.seed)]
    elif options.command == "memory":
        lines = run_in_memory(options.checkout, options.raw)
    else:
        records = [msgspec.json.decode(text, type=Raw) for text in options.raw.read_text().splitlines()]
        lines = asyncio.run(run_with_kafka(options.checkout, records))
    options.output.write_text("".join(f"{text}\n" for text in lines))
    sys.stdout.write(f"{len(lines)} lines\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
