"""The supervisor with real child processes that do nothing but end."""

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from aftersend.errors import EXIT_CRASHED, EXIT_DISK, EXIT_KAFKA, EXIT_SETTINGS, EXIT_STATE
from aftersend.processes.supervisor import Child, RestartPolicy, Supervisor, exit_code_of
from tests.patience import PATIENCE

QUICK = RestartPolicy(backoff=(0.01,), crashes=3, healthy=60.0, grace=10.0)
#: Runs until SIGTERM, then ends in order.
OBEDIENT = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
print("up", file=open(sys.argv[1], "a"))
time.sleep(60)
"""
STUBBORN = OBEDIENT.replace("lambda *_: os._exit(0)", "signal.SIG_IGN")


def child(script: str, *arguments: object) -> Child:
    return Child([sys.executable, "-c", script, *map(str, arguments)], os.environ)


def crash(code: int, log: Path) -> Child:
    return child(f"import sys; print('up', file=open(sys.argv[1], 'a')); sys.exit({code})", log)


def starts(log: Path) -> int:
    return len(log.read_text().splitlines()) if log.exists() else 0


async def until_started(log: Path, times: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while starts(log) < times and time.monotonic() < deadline:
        await asyncio.sleep(0.02)
    assert starts(log) >= times


async def test_stops_all_children_when_told_to(tmp_path: Path) -> None:
    log = tmp_path / "log"
    supervisor = Supervisor([child(OBEDIENT, log), child(OBEDIENT, log)], QUICK)
    running = asyncio.create_task(supervisor.run())
    await until_started(log, 2)

    supervisor.stop()

    assert 0 == await running
    assert 2 == starts(log)


async def test_starts_a_crashed_child_again(tmp_path: Path) -> None:
    log = tmp_path / "log"
    supervisor = Supervisor([child(OBEDIENT, log)], QUICK)
    running = asyncio.create_task(supervisor.run())
    await until_started(log, 1)

    supervisor._running[0].kill()
    await until_started(log, 2)
    supervisor.stop()

    assert 0 == await running


async def test_starts_a_child_again_that_was_stopped_by_somebody_else(tmp_path: Path) -> None:
    log = tmp_path / "log"
    supervisor = Supervisor([child(OBEDIENT, log)], QUICK)
    running = asyncio.create_task(supervisor.run())
    await until_started(log, 1)

    supervisor._running[0].terminate()
    await until_started(log, 2)
    supervisor.stop()

    assert 0 == await running


async def test_gives_up_after_several_crashes_in_a_row(tmp_path: Path) -> None:
    log, other = tmp_path / "log", tmp_path / "other"
    supervisor = Supervisor([crash(EXIT_CRASHED, log), child(OBEDIENT, other)], QUICK)

    assert EXIT_CRASHED == await supervisor.run()
    assert QUICK.crashes == starts(log)
    assert not supervisor._running


async def test_starts_a_child_again_for_as_long_as_its_disk_is_full(tmp_path: Path) -> None:
    log, other = tmp_path / "log", tmp_path / "other"
    supervisor = Supervisor([crash(EXIT_DISK, log), child(OBEDIENT, other)], QUICK)
    running = asyncio.create_task(supervisor.run())

    await until_started(log, 2 * QUICK.crashes)
    supervisor.stop()
    await running

    assert 1 == starts(other)


@pytest.mark.parametrize("code", [EXIT_SETTINGS, EXIT_KAFKA, EXIT_STATE])
async def test_passes_on_what_will_not_go_away(code: int, tmp_path: Path) -> None:
    log, other = tmp_path / "log", tmp_path / "other"
    supervisor = Supervisor([crash(code, log), child(OBEDIENT, other)], QUICK)

    assert code == await supervisor.run()
    assert 1 == starts(log)


async def test_waits_for_a_kafka_that_was_there_before(tmp_path: Path) -> None:
    """The first run crashes, later ones find no Kafka: that is a crash like any other."""
    log = tmp_path / "log"
    script = f"""
import os, sys
first = not os.path.exists(sys.argv[1])
print("up", file=open(sys.argv[1], "a"))
sys.exit({EXIT_CRASHED} if first else {EXIT_KAFKA})
"""
    supervisor = Supervisor([child(script, log)], QUICK)

    assert EXIT_KAFKA == await supervisor.run()
    assert QUICK.crashes == starts(log)


async def test_kills_what_does_not_end_in_time(tmp_path: Path) -> None:
    log = tmp_path / "log"
    supervisor = Supervisor([child(STUBBORN, log)], RestartPolicy(grace=0.2))
    running = asyncio.create_task(supervisor.run())
    await until_started(log, 1)

    supervisor.stop()

    assert 128 + signal.SIGKILL == await running


async def test_kills_when_told_twice(tmp_path: Path) -> None:
    log = tmp_path / "log"
    supervisor = Supervisor([child(STUBBORN, log)], QUICK)
    running = asyncio.create_task(supervisor.run())
    await until_started(log, 1)

    supervisor.stop()
    await asyncio.sleep(0.1)
    supervisor.stop()

    async with asyncio.timeout(PATIENCE):
        assert 128 + signal.SIGKILL == await running


async def test_ends_a_child_that_stands_still(tmp_path: Path) -> None:
    log = tmp_path / "log"
    supervisor = Supervisor([child(OBEDIENT, log)], QUICK)
    running = asyncio.create_task(supervisor.run())
    await until_started(log, 1)
    supervisor._running[0].send_signal(signal.SIGSTOP)

    supervisor.stop()

    assert 0 == await running


def test_exit_codes() -> None:
    assert (0, 4, 137) == (exit_code_of(0), exit_code_of(4), exit_code_of(-9))
