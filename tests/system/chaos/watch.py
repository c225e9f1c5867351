"""Watches an installation during chaos: memory of the workers, and partitions that stand still."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Final

from aiokafka.errors import KafkaError

from tests.system.chaos.installation import Installation

_POLL: Final = 2.0


class Watch:
    """Measures while it runs.

    Args:
        installation: whose workers and partitions are watched.
    """

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        #: Most memory that a worker had, MiB.
        self.most_mib = 0.0
        #: Longest time that a partition with unread records did not go on, seconds, and which.
        self.longest_standstill = 0.0
        self.where = ""
        #: By topic and partition: the committed offset, and since when (monotonic seconds).
        self._since: dict[tuple[str, int], tuple[int, float]] = {}

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            await asyncio.sleep(_POLL)
            for worker in self._installation.workers:
                self.most_mib = max(self.most_mib, _resident_mib(worker.pid))
            try:
                positions = await self._installation.positions()
            except (KafkaError, OSError, TimeoutError):
                self._since.clear()  # the broker is away: nobody can go on
                continue
            self._compare(positions, time.monotonic())

    def _compare(self, positions: dict[tuple[str, int], tuple[int, int]], now: float) -> None:
        for partition, (committed, end) in positions.items():
            before, since = self._since.get(partition, (-1, now))
            if committed != before or committed >= end:
                self._since[partition] = committed, now
            elif now - since > self.longest_standstill:
                self.longest_standstill, self.where = now - since, f"{partition[0]}-{partition[1]} at {committed}"


def _resident_mib(pid: int | None) -> float:
    """Return the resident memory of a process, MiB; 0 if it has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmRSS")), 0.0)
