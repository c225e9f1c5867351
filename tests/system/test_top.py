"""`aftersend top` on real servers: as JSON, in a pipe, and on a terminal."""

import asyncio
import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aftersend.errors import EXIT_FAILED, EXIT_OK
from tests.patience import PATIENCE
from tests.system.chaos.installation import Input, Installation

ESCAPE = "\x1b"
COMMAND = [sys.executable, "-P", "-m", "aftersend.cli.main", "top"]


def environment(installation: Installation, **changes: str) -> dict[str, str]:
    settings = installation.settings
    # The size of the terminal of the test run does not matter for the one of a test.
    given = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES"}}
    return {name: value for name, value in given.items() if not name.startswith("AFTERSEND_")} | {
        "AFTERSEND_KAFKA_BOOTSTRAP": settings.kafka_bootstrap,
        "AFTERSEND_REDIS_URL": settings.redis_url,
        "AFTERSEND_TOPIC_PREFIX": settings.topic_prefix,
        "AFTERSEND_REDIS_PREFIX": settings.redis_prefix,
        "AFTERSEND_APP_ID": settings.app_id,
        "TERM": "xterm-256color",
        **changes,
    }


async def run(installation: Installation, folder: Path, *words: str, **changes: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *COMMAND, *words, env=environment(installation, **changes), cwd=folder, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    return process.returncode or 0, out.decode()


def opens(first: int, count: int, topic: str, delivery: str = "spring-sale") -> list[Input]:
    now = int(time.time())
    return [
        Input(
            topic,
            number % 4,
            None,
            json.dumps(
                {
                    "event": "open",
                    "id": f"e{number}",
                    "recipient": f"r{number}@x.example",
                    "delivery_id": delivery,
                    "time": now,
                }
            ).encode(),
            now * 1000,
        )
        for number in range(first, first + count)
    ]


async def test_snapshots_have_numbers_and_rates(install: Callable[..., Installation], tmp_path: Path) -> None:
    installation = install()
    await installation.start()
    raw = installation.topics.raw("tracking")
    await installation.write(opens(0, 20, raw))
    await installation.await_caught_up()

    written, enough = 0, asyncio.Event()

    async def more() -> None:
        nonlocal written
        while not enough.is_set():
            await installation.write(opens(100 + written, 10, raw))
            written += 10
            await asyncio.sleep(0.25)

    writing = asyncio.ensure_future(more())
    code, out = await run(installation, tmp_path, "--once", "--json", "--interval", "2")
    enough.set()
    await writing

    result: dict[str, Any] = json.loads(out)
    assert (EXIT_OK, []) == (code, result["problems"])
    assert 0 < result["events_per_second"] <= written / 2
    assert result["events_per_second"] == pytest.approx(sum(result["decisions_per_second"].values()), abs=0.01)
    topics = {one["topic"]: one for one in result["topics"]}
    assert 0 < topics[raw]["records_per_second"] <= written / 2
    assert (4, 0) == (topics[raw]["partitions"], topics[raw]["lost_offsets"])
    assert topics[installation.topics.events]["lag_seconds"] < PATIENCE
    (delivery,) = (one for one in result["deliveries"] if one["delivery_id"] == "spring-sale")
    assert delivery["kpis"]["unique_opens"] > 20
    assert delivery["events_per_second"] > 0


async def test_lag_is_shown_without_workers(install: Callable[..., Installation], tmp_path: Path) -> None:
    installation = install()
    await installation.apply_topics()
    raw = installation.topics.raw("tracking")
    late = [record._replace(timestamp_ms=record.timestamp_ms - 90_000) for record in opens(0, 7, raw)]
    await installation.write(late)

    code, out = await run(installation, tmp_path, "--once", "--json", "--interval", "0.2")

    (flow,) = (one for one in json.loads(out)["topics"] if one["topic"] == raw)
    assert EXIT_OK == code
    assert 7 == flow["lag_records"]
    assert 89 < flow["lag_seconds"] < 90 + PATIENCE


async def test_in_a_pipe_there_are_no_control_codes(install: Callable[..., Installation], tmp_path: Path) -> None:
    installation = install()
    await installation.apply_topics()
    process = await asyncio.create_subprocess_exec(
        *COMMAND, "--interval", "0.3", env=environment(installation), cwd=tmp_path, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    lines = [(await process.stdout.readline()).decode() for _ in range(30)]
    process.send_signal(signal.SIGINT)
    rest = (await process.stdout.read()).decode()
    assert EXIT_OK == await process.wait()
    assert 2 <= sum(line.startswith("aftersend ") for line in lines)
    assert ESCAPE not in "".join(lines) + rest


async def test_unavailable_servers_are_shown_as_problems(install: Callable[..., Installation], tmp_path: Path) -> None:
    installation = install()
    await installation.apply_topics()
    away = {"AFTERSEND_KAFKA_BOOTSTRAP": "127.0.0.1:1", "AFTERSEND_REDIS_URL": "redis://127.0.0.1:1"}

    code, out = await run(installation, tmp_path, "--once", "--interval", "0.2", **away)

    assert EXIT_FAILED == code
    assert "(AFTERSEND_KAFKA_BOOTSTRAP)" in out
    assert "(AFTERSEND_REDIS_URL)" in out
    code, out = await run(
        installation, tmp_path, "--once", "--json", "--interval", "0.2", AFTERSEND_REDIS_URL="redis://127.0.0.1:1"
    )
    result = json.loads(out)
    assert 1 == len(result["problems"])
    assert result["topics"]


class Terminal:
    """A terminal with `aftersend top` in it."""

    def __init__(self, installation: Installation, folder: Path, columns: int, lines: int) -> None:
        self.master, self.slave = pty.openpty()
        self.resize(columns, lines)
        self.before = termios.tcgetattr(self.slave)
        self.process = subprocess.Popen(
            [*COMMAND, "--interval", "0.3"],
            env=environment(installation),
            cwd=folder,
            stdin=self.slave,
            stdout=self.slave,
            stderr=self.slave,
        )
        os.set_blocking(self.master, False)
        self.shown = ""

    def resize(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def press(self, keys: str) -> None:
        os.write(self.master, keys.encode())

    def read(self) -> str:
        """Return what has come since."""
        try:
            fresh = os.read(self.master, 1 << 20).decode(errors="replace")
        except BlockingIOError:
            return ""
        self.shown += fresh
        return fresh

    async def until(self, what: Callable[[str], bool]) -> None:
        """Wait until what comes from now on is as it should be."""
        fresh = ""
        deadline = time.monotonic() + PATIENCE
        while not what(fresh):
            assert time.monotonic() < deadline, fresh or self.shown
            await asyncio.sleep(0.05)
            fresh += self.read()

    async def end(self) -> int:
        deadline = time.monotonic() + PATIENCE
        while self.process.poll() is None:
            assert time.monotonic() < deadline, self.shown
            self.read()
            await asyncio.sleep(0.05)
        self.read()
        return self.process.returncode

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)
        os.close(self.slave)


def plain(text: str) -> list[str]:
    """Return lines without colours and movements of the cursor."""
    fresh_screens = text.replace("\x1b[H", "\r\n")
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", fresh_screens).split("\r\n")


@pytest.mark.parametrize("way_out", ["q", "SIGINT", "SIGTERM"])
async def test_the_screen_is_drawn_on_a_terminal(
    install: Callable[..., Installation], tmp_path: Path, way_out: str
) -> None:
    installation = install()
    await installation.apply_topics()
    terminal = Terminal(installation, tmp_path, 70, 24)
    try:
        await terminal.until(lambda fresh: "sorted by activity" in fresh)
        assert "\x1b[?1049h" in terminal.shown
        if way_out == "q":
            assert [] == [line for line in plain(terminal.shown) if len(line) > 70]
            terminal.press("s")
            await terminal.until(lambda fresh: "sorted by updated" in fresh)
            terminal.press("SS")
            await terminal.until(lambda fresh: "sorted by name" in fresh)
            terminal.resize(120, 30)
            await terminal.until(lambda fresh: any(len(line) > 100 for line in plain(fresh)))
            terminal.press("q")
        else:
            terminal.process.send_signal(getattr(signal, way_out))
        assert EXIT_OK == await terminal.end()
        assert "Traceback" not in terminal.shown
        # The former screen and cursor are restored, and typed keys are echoed again.
        assert terminal.shown.rfind("\x1b[?1049l") > terminal.shown.rfind("\x1b[?1049h")
        assert terminal.shown.rfind("\x1b[?25h") > terminal.shown.rfind("\x1b[?25l")
        assert terminal.before == termios.tcgetattr(terminal.slave)
    finally:
        terminal.close()
