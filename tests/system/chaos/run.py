"""A run of chaos: input is written while everything breaks; at the end every number is right."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any, NamedTuple

from aftersend.sandbox.embedded import EmbeddedKafka, EmbeddedRedis
from tests.system.chaos.clocks import far_record, far_tick, forged_ticks, old_records, remove_guards
from tests.system.chaos.faults import Chaos
from tests.system.chaos.hostile import hostile_records
from tests.system.chaos.installation import Input, Installation
from tests.system.chaos.load import declarations, direct_events, raw_records
from tests.system.chaos.watch import Watch


class Scale(NamedTuple):
    """How much is done."""

    #: Of the simulated campaign: each gives some three raw records.
    recipients: int
    #: Canonical events that come directly.
    events: int
    workers: int
    #: How long there are faults, seconds.
    seconds: float
    #: Between two faults, seconds.
    gaps: tuple[float, float]
    #: How long the workers may take to catch up when all is over, seconds.
    patience: float
    #: Hostile records among the others, about.
    hostile: int = 0
    #: Ticks and records with wrong clocks, each of them a handful.
    wrong_clocks: int = 0
    #: Most memory that a worker may have, MiB; 0: any.
    most_mib: float = 0.0
    #: How long a partition with unread records may stand still while the broker runs, seconds; 0: any time.
    most_standstill: float = 0.0


async def run(folder: Path, scale: Scale, seed: int, **settings: Any) -> None:
    """Run chaos.

    Args:
        folder: for data and logs.
        scale: how much of it.
        seed: decides what happens.
        settings: of the installation.

    Raises:
        AssertionError: if a number is wrong, or a worker ended by itself.
        TimeoutError: if the workers do not catch up.
    """
    with EmbeddedKafka(folder / "kafka") as kafka, EmbeddedRedis(folder / "redis") as redis:
        installation = Installation(kafka, redis, folder, "chaos", **settings)
        for _ in range(scale.workers):
            installation.add_worker()
        try:
            await _run(installation, scale, seed)
        finally:
            installation.close()


async def _run(installation: Installation, scale: Scale, seed: int) -> None:
    chaos = Chaos(installation, seed, scale.gaps)
    chaos.log(f"seed {seed}, store {installation.settings.store}, {scale}")
    await installation.apply_topics()
    writing = asyncio.create_task(_write(installation, scale, seed))
    for worker in installation.workers:
        worker.start()
    until = time.monotonic() + scale.seconds
    watch = Watch(installation)
    watching = asyncio.create_task(watch.run())
    try:
        await chaos.run(lambda: time.monotonic() > until and writing.done())
        records = await writing
        await installation.await_caught_up(scale.patience)
    finally:
        writing.cancel()
        watching.cancel()
    chaos.log(
        f"a worker had {watch.most_mib:.0f} MiB at most; the longest standstill of a partition was "
        f"{watch.longest_standstill:.0f} s ({watch.where})"
    )
    assert not scale.most_mib or watch.most_mib <= scale.most_mib
    assert not scale.most_standstill or watch.longest_standstill <= scale.most_standstill, watch.where
    chaos.log(f"{records} records were written")
    report = await installation.finish(timeout=scale.patience)
    code, said = await installation.command("compute-stats")
    assert code == 0, said
    chaos.log(f"all equal: {report.raw_records} raw records, {report.events} events, {report.rows} rows")


async def _write(installation: Installation, scale: Scale, seed: int) -> int:
    """Write all input, spread over the time of the faults."""
    start = time.time() - 3600.0
    partitions = installation.settings.partitions
    seconds = scale.seconds * 0.9
    written = await asyncio.gather(
        installation.write(
            raw_records(installation.topics, scale.recipients, seed, start, partitions),
            rate=3 * scale.recipients / seconds,
        ),
        installation.write(
            direct_events(installation.topics, scale.events, seed, start, partitions), rate=scale.events / seconds
        ),
        installation.write(declarations(installation.topics, 100, seed, start, partitions), rate=100 / seconds),
        installation.write(hostile_records(installation, scale.hostile, seed, start), rate=scale.hostile / seconds),
        _write_wrong_clocks(installation, scale.wrong_clocks, seconds),
    )
    return sum(written)


async def _write_wrong_clocks(installation: Installation, number: int, seconds: float) -> int:
    """Write ticks from far ahead and first records from long ago, now and then."""
    if number:
        await remove_guards(installation)
    # The first tick of all sets the time, whatever it says: an honest one.
    wrong: list[Input] = list(forged_ticks(installation, 0.0))
    for at in range(number):
        wrong += [far_tick(installation), *forged_ticks(installation), far_record(installation, f"ahead{at}")]
        wrong += old_records(installation, f"old{at}")
    # One producer for all: another could not be started while the broker is away.
    return await installation.write(wrong, rate=len(wrong) / seconds) if number else 0
