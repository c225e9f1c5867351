"""Several worker processes on one machine: started, watched, started again, and stopped together.

A child that crashes is started again, ever more slowly, and given up after several crashes in a row. A child that ends
for a reason that will still be there next time (settings, Kafka, the breaker) ends them all, with its exit code.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import msgspec
import structlog

from aftersend.errors import EXIT_CRASHED, EXIT_KAFKA, EXIT_OK, FATAL

log = structlog.get_logger(__name__)

_SIGNAL_BASE: Final = 128


class Policy(msgspec.Struct, frozen=True):
    """How patient the supervisor is; all in seconds but the number of crashes."""

    #: Waited before a child is started again, by how often it has crashed in a row.
    backoff: tuple[float, ...] = (1.0, 2.0, 5.0, 10.0, 30.0)
    #: A child that crashes so often in a row is given up, and with it all others.
    crashes: int = 6
    #: One that ran for so long before it crashed begins anew to be counted.
    healthy: float = 60.0
    #: Children that have not ended so long after having been told to are killed.
    grace: float = 45.0


class Child(msgspec.Struct, frozen=True):
    """How to start one child."""

    command: Sequence[str]
    environment: Mapping[str, str]


def exit_code_of(returncode: int) -> int:
    """Return the exit code that says what a child's return code says: death by signal as a shell shows it."""
    return returncode if returncode >= 0 else _SIGNAL_BASE - returncode


class Supervisor:
    """Keeps children running.

    Each child's standard input is a pipe that nobody writes to: it ends when this process does, however that comes
    about, and `aftersend.processes.shutdown` then ends the child.

    Args:
        children: by index.
        policy: how patient to be.
    """

    def __init__(self, children: Sequence[Child], policy: Policy | None = None) -> None:
        self._children = children
        self._policy = policy or Policy()
        self._running: dict[int, subprocess.Popen[bytes]] = {}
        #: One for each child, to wait for its end.
        self._threads = ThreadPoolExecutor(max(1, len(children)), "child")
        self._stop = asyncio.Event()
        self._asked = 0
        self._result = EXIT_OK

    def stop(self) -> None:
        """Tell all children to end; if told twice, kill them."""
        self._asked += 1
        self._stop.set()
        if self._asked > 1:
            self._signal(signal.SIGKILL)

    def hang_up(self) -> None:
        """Tell all children to read again what may have changed."""
        self._signal(signal.SIGHUP)

    async def run(self) -> int:
        """Keep the children running until `stop` or until it makes no sense; return the exit code."""
        keepers = [asyncio.create_task(self._keep(index)) for index in range(len(self._children))]
        await self._stop.wait()
        log.info("stopping", workers=len(self._running))
        self._signal(signal.SIGTERM)
        _, late = await asyncio.wait(keepers, timeout=self._policy.grace)
        if late:
            log.warning("killed what did not end in time", workers=len(self._running), seconds=self._policy.grace)
            self._signal(signal.SIGKILL)
        await asyncio.gather(*keepers)
        self._threads.shutdown()
        return self._result

    async def _keep(self, index: int) -> None:
        """Keep one child running."""
        policy = self._policy
        crashes, first = 0, True
        while not self._stop.is_set():
            started = time.monotonic()
            code = await self._run_once(index)
            if self._stop.is_set():
                self._judge_end(index, code)
                return
            # A Kafka that was there before will come again; one that never was needs somebody to look after it.
            if code in FATAL and (first or code != EXIT_KAFKA):
                self._give_up(index, code, "its cause will not go away by itself")
                return
            first = False
            if code == EXIT_OK or time.monotonic() - started >= policy.healthy:
                crashes = 0
            crashes += code != EXIT_OK
            if crashes >= policy.crashes:
                self._give_up(index, code, f"it has crashed {crashes} times in a row")
                return
            delay = policy.backoff[min(max(crashes, 1), len(policy.backoff)) - 1]
            log.warning("worker ended by itself; started again soon", worker=index, exit_code=code, seconds=delay)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), delay)

    async def _run_once(self, index: int) -> int:
        process = self._start(index)
        try:
            return exit_code_of(await asyncio.get_running_loop().run_in_executor(self._threads, process.wait))
        finally:
            del self._running[index]
            if process.stdin is not None:
                process.stdin.close()

    def _start(self, index: int) -> subprocess.Popen[bytes]:
        child = self._children[index]
        # Not asyncio's subprocesses: sending these a signal may reap them, and then their exit code is lost.
        process = self._running[index] = subprocess.Popen(
            child.command,
            env=dict(child.environment),
            stdin=subprocess.PIPE,
            # Ctrl-C in a terminal goes to this process, which tells the children.
            start_new_session=True,
        )
        log.info("worker started", worker=index, pid=process.pid)
        return process

    def _judge_end(self, index: int, code: int) -> None:
        """Look at how a child ended that was told to."""
        if code != EXIT_OK:
            log.warning("worker did not stop in order", worker=index, exit_code=code)
            self._result = self._result or code

    def _give_up(self, index: int, code: int, why: str) -> None:
        log.error("worker given up, and all others stopped", worker=index, exit_code=code, why=why)
        self._result = code or EXIT_CRASHED
        self._stop.set()

    def _signal(self, number: signal.Signals) -> None:
        for process in list(self._running.values()):
            process.send_signal(number)
            if number is signal.SIGTERM:
                process.send_signal(signal.SIGCONT)  # one that was paused has to go on to end


def supervise(children: Sequence[Child], policy: Policy | None = None, *, hangup: bool = False) -> int:
    """Run children until SIGTERM or SIGINT, or until one ends for good; return the exit code.

    Args:
        children: by index.
        policy: how patient to be.
        hangup: pass SIGHUP on to the children.
    """

    async def main() -> int:
        supervisor = Supervisor(children, policy)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, supervisor.stop)
        if hangup:
            loop.add_signal_handler(signal.SIGHUP, supervisor.hang_up)
        return await supervisor.run()

    return asyncio.run(main())
