"""What is done to the workers and servers: drawn by a seed, told in a log."""

from __future__ import annotations

import asyncio
import enum
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import redis.asyncio as redis

from aftersend.errors import EXIT_KAFKA, EXIT_OK
from tests.patience import PATIENCE
from tests.system.chaos.installation import Installation
from tests.system.chaos.workers import WorkerProcess


class Fault(enum.Enum):
    """One thing that can go wrong."""

    KILL = "kill -9 a worker"
    TERMINATE = "stop a worker in good order"
    FREEZE = "freeze a worker for longer than its session"
    KAFKA_KILL = "kill -9 the broker"
    KAFKA_RESTART = "restart the broker in good order"
    REDIS_FLUSH = "FLUSHALL"
    REDIS_KILL = "kill -9 Redis"


#: How often each comes in one round. The workers suffer most, since theirs are the cases with the most to go wrong.
_ROUND = {
    Fault.KILL: 3,
    Fault.TERMINATE: 2,
    Fault.FREEZE: 3,
    Fault.KAFKA_KILL: 1,
    Fault.KAFKA_RESTART: 1,
    Fault.REDIS_FLUSH: 1,
    Fault.REDIS_KILL: 1,
}
#: Stopped (perhaps before it listened to signals), killed, or started while the broker was away.
_EXPECTED_CODES = {EXIT_OK, EXIT_KAFKA, -signal.SIGTERM, -signal.SIGKILL}
#: How long a frozen worker is silent beyond its session timeout, seconds.
_BEYOND = 4.0


class Chaos:
    """Brings faults over an installation.

    Args:
        installation: its workers must have been added.
        seed: decides what happens, to whom and when.
        gaps: between two faults, from and to, seconds.
    """

    def __init__(self, installation: Installation, seed: int, gaps: tuple[float, float]) -> None:
        """Do nothing yet."""
        self._installation = installation
        self._rng = random.Random(f"{seed} faults")
        self._gaps = gaps
        self._started = time.monotonic()
        self._log_path: Path = installation.folder / "chaos.log"
        self.done: list[Fault] = []

    def log(self, words: str) -> None:
        """Tell what happens, with the seconds since the start."""
        line = f"{time.monotonic() - self._started:7.1f}  {words}"
        print(line, flush=True)  # noqa: T201 - pytest shows it when the test fails
        with self._log_path.open("a") as log:
            log.write(f"{line}\n")

    async def run(self, enough: Callable[[], bool]) -> None:
        """Bring faults until it is enough, and at least one of each kind; in the end everything runs again."""
        minder = asyncio.create_task(self._mind_workers())
        bag: list[Fault] = []
        while not enough() or set(self.done) != set(Fault):
            await asyncio.sleep(self._rng.uniform(*self._gaps))
            if not bag:
                bag = [fault for fault, times in _ROUND.items() for _ in range(times)]
                self._rng.shuffle(bag)
            fault = bag.pop()
            await self._bring(fault)
            self.done.append(fault)
            if minder.done():
                break
        minder.cancel()
        (outcome,) = await asyncio.gather(minder, return_exceptions=True)
        if isinstance(outcome, Exception):
            raise outcome
        for worker in self._installation.workers:
            if worker.paused:
                worker.resume()
            worker.start()
        self.log("no more faults")

    async def _bring(self, fault: Fault) -> None:
        installation = self._installation
        if fault in {Fault.KILL, Fault.TERMINATE, Fault.FREEZE}:
            await self._to_a_worker(fault)
        elif fault is Fault.KAFKA_KILL:
            self.log(fault.value)
            await asyncio.to_thread(installation.kafka.kill)
            await asyncio.to_thread(installation.kafka.start, PATIENCE)
            self.log("the broker is back")
        elif fault is Fault.KAFKA_RESTART:
            self.log(fault.value)
            await asyncio.to_thread(installation.kafka.restart, PATIENCE)
            self.log("the broker is back")
        elif fault is Fault.REDIS_FLUSH:
            self.log(fault.value)
            async with redis.from_url(installation.redis.url) as client:
                await client.flushall()
        else:
            self.log(fault.value)
            await asyncio.to_thread(installation.redis.kill)
            await asyncio.sleep(self._rng.uniform(0.0, 3.0))
            await asyncio.to_thread(installation.redis.start, PATIENCE)

    async def _to_a_worker(self, fault: Fault) -> None:
        candidates = [w for w in self._installation.workers if w.running and not w.paused]
        if not candidates:
            return
        worker = self._rng.choice(candidates)
        self.log(f"{fault.value}: {worker.name}")
        if fault is Fault.KILL:
            await asyncio.to_thread(worker.kill)
        elif fault is Fault.TERMINATE:
            worker.terminate()
        else:
            worker.pause()
            seconds = self._installation.settings.session_timeout + _BEYOND
            asyncio.get_running_loop().call_later(seconds, self._thaw, worker)

    def _thaw(self, worker: WorkerProcess) -> None:
        if worker.paused:
            self.log(f"{worker.name} goes on")
            worker.resume()

    async def _mind_workers(self) -> None:
        """Start workers again a while after they ended, as a supervisor would.

        Raises:
            AssertionError: if a worker ended in any other way than by what was done to it.
        """
        while True:
            await asyncio.sleep(0.2)
            for worker in self._installation.workers:
                if worker.running:
                    continue
                await asyncio.sleep(self._rng.uniform(0.0, 2.0))
                worker.start()
                code = worker.exit_codes[-1]
                self.log(f"{worker.name} had ended with {code} and starts again")
                assert code in _EXPECTED_CODES, f"{worker.name} ended with {code}:\n{worker.tail(80)}"
