"""Records of a raw topic that are written together."""

from __future__ import annotations

import asyncio
from typing import Any


class PendingBatch:
    """A batch that Kafka has not acknowledged yet, with the requests that wait for it.

    Args:
        builder: aiokafka's builder of the batch.
    """

    __slots__ = ("builder", "futures", "late", "linger_elapsed", "records", "size", "timers")

    def __init__(self, builder: Any) -> None:
        self.builder = builder
        #: One for each request: whether its record was acknowledged in time.
        self.futures: list[asyncio.Future[bool]] = []
        self.records = 0
        #: Bytes of the values.
        self.size = 0
        #: The batch has been open for `gateway_linger` and is sent as soon as a partition is free.
        self.linger_elapsed = False
        #: `ack_timeout` has passed: its requests were answered with 503, though the batch may still be written.
        self.late = False
        self.timers: list[asyncio.TimerHandle] = []

    def resolve(self, *, acknowledged: bool) -> None:
        """Give every waiting request its result."""
        futures, self.futures = self.futures, []
        for future in futures:
            if not future.done():
                future.set_result(acknowledged)

    def cancel_timers(self) -> None:
        """Cancel all timers."""
        for timer in self.timers:
            timer.cancel()
