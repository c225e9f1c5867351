"""Supervisor of several processes on one machine: starts, restarts and stops them together.

A child that crashes is restarted with a growing delay, and all children are stopped after several crashes in a row. A
child whose disk is full is restarted for as long as that takes, with the longest delay. A child that ends for a reason
that a restart does not cure (settings, Kafka, the state) stops them all with its exit code.
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

from aftersend.errors import EXIT_CRASHED, EXIT_DISK, EXIT_KAFKA, EXIT_OK, FATAL

log = structlog.get_logger(__name__)

#: A shell shows a death by signal as the exit code 128 + its number.
_SIGNAL_BASE: Final = 128


class RestartPolicy(msgspec.Struct, frozen=True):
    """When children are restarted, given up and killed."""

    #: Delay before a restart by the number of crashes in a row, seconds.
    backoff: tuple[float, ...] = (1.0, 2.0, 5.0, 10.0, 30.0)
    #: Number of crashes in a row after which all children are stopped.
    crashes: int = 6
    #: A child that ran for so long before its crash starts a new row, seconds.
    healthy: float = 60.0
    #: Time for children to stop before they are killed, seconds: longer than their own deadline.
    grace: float = 45.0


class Child(msgspec.Struct, frozen=True):
    """Command line and environment of one child."""

    command: Sequence[str]
    environment: Mapping[str, str]


def exit_code_of(returncode: int) -> int:
    """Return the exit code for a child's return code; a death by signal as a shell shows it."""
    return returncode if returncode >= 0 else _SIGNAL_BASE - returncode


class Supervisor:
    """Keeps children running.

    Each child's standard input is a pipe to which nothing is written. It is closed when this process ends for whatever
    reason, and `aftersend.processes.shutdown` then stops the child.

    Args:
        children: in the order of their indices.
        policy: when children are restarted, given up and killed.
    """

    def __init__(self, children: Sequence[Child], policy: RestartPolicy | None = None) -> None:
        self._children = children
        self._policy = policy or RestartPolicy()
        self._running: dict[int, subprocess.Popen[bytes]] = {}
        #: One thread for each child waits for its end.
        self._threads = ThreadPoolExecutor(max(1, len(children)), "child")
        self._stop = asyncio.Event()
        self._stop_requests = 0
        self._result = EXIT_OK

    def stop(self) -> None:
        """Stop all children; at the second request, kill them."""
        self._stop_requests += 1
        self._stop.set()
        if self._stop_requests > 1:
            self._signal(signal.SIGKILL)

    def hang_up(self) -> None:
        """Send SIGHUP to all children."""
        self._signal(signal.SIGHUP)

    async def run(self) -> int:
        """Keep the children running until `stop`, or until one is given up; return the exit code."""
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
                self._record_end(index, code)
                return
            # An unreachable Kafka comes back if it was there before. At the first start it is a matter for operators.
            if code in FATAL and (first or code != EXIT_KAFKA):
                self._give_up(index, code, "its cause will not go away by itself")
                return
            first = False
            if code == EXIT_DISK:
                await self._pause(index, code, policy.backoff[-1])
                continue
            if code == EXIT_OK or time.monotonic() - started >= policy.healthy:
                crashes = 0
            crashes += code != EXIT_OK
            if crashes >= policy.crashes:
                self._give_up(index, code, f"it has crashed {crashes} times in a row")
                return
            delay = policy.backoff[min(max(crashes, 1), len(policy.backoff)) - 1]
            await self._pause(index, code, delay)

    async def _pause(self, index: int, code: int, delay: float) -> None:
        """Wait before a restart, or until all are to stop."""
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
        # Not asyncio's subprocesses: sending one a signal may reap it, and then its exit code is lost.
        process = self._running[index] = subprocess.Popen(
            child.command,
            env=dict(child.environment),
            stdin=subprocess.PIPE,
            # Ctrl-C in a terminal goes to this process only, which stops the children.
            start_new_session=True,
        )
        log.info("worker started", worker=index, pid=process.pid)
        return process

    def _record_end(self, index: int, code: int) -> None:
        """Record the exit code of a child that was stopped."""
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
                process.send_signal(signal.SIGCONT)  # a paused process has to continue to stop


def supervise(children: Sequence[Child], policy: RestartPolicy | None = None, *, hangup: bool = False) -> int:
    """Run children until SIGTERM or SIGINT, or until one is given up; return the exit code.

    Args:
        children: in the order of their indices.
        policy: when children are restarted, given up and killed.
        hangup: whether to pass SIGHUP on to the children.
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
