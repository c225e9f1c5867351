"""One idempotent producer for all raw topics, replaced by a new one when it fails."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from itertools import chain, repeat
from typing import Any, Final

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from aftersend.engine.aiokafka import patches
from aftersend.engine.aiokafka.producers import force_close, throttle_metadata
from aftersend.engine.transaction import MAX_BATCH_BYTES
from aftersend.errors import KafkaUnusableError

log = structlog.get_logger(__name__)

#: Time for a broker to answer one request, seconds. After that the request is sent again, so it has to be well below
#: the time after which a batch counts as stuck.
_REQUEST_SECONDS: Final = 10.0
#: Time for a producer to connect and to get its producer id, seconds: some requests that time out are in it.
_START_SECONDS: Final = 30.0
#: Before a producer that could not start is tried again, seconds; the last one holds for all further attempts.
_BACKOFF_SECONDS: Final = (0.2, 0.5, 1.0, 2.0, 5.0)
#: Batches that one request to a broker may hold: one for each of several partitions.
_BATCHES_IN_REQUEST: Final = 8


class ReplaceableProducer:
    """Holds the producer, runs the deliveries that use it, and replaces it.

    An idempotent producer that has lost a batch is useless: a sequence number is missing, and the broker rejects
    everything that follows. It is then closed by force, all deliveries in flight fail, and a new one is started.

    Args:
        options: of the connection, as aiokafka's clients take them.
        prepare: called with a new producer before it is used.
        resume: called when a new producer is in use.
    """

    def __init__(
        self,
        options: Mapping[str, Any],
        prepare: Callable[[AIOKafkaProducer], Awaitable[None]],
        resume: Callable[[], None],
    ) -> None:
        self._options = {**options, "request_timeout_ms": int(_REQUEST_SECONDS * 1000)}
        self._prepare = prepare
        self._resume = resume
        #: None: there is no working producer at the moment.
        self.current: AIOKafkaProducer | None = None
        #: Makes a batch builder; builders do not depend on the producer that made them. None before the first start.
        self.new_builder: Any = None
        self._deliveries: set[asyncio.Task[None]] = set()
        self._replacement: asyncio.Task[None] | None = None
        self._closing = False

    async def start(self) -> None:
        """Connect.

        Raises:
            KafkaUnusableError: if Kafka can't be reached.
        """
        try:
            async with asyncio.timeout(_START_SECONDS):
                await self._connect()
        except (KafkaError, OSError, TimeoutError) as error:
            servers = ",".join(self._options["bootstrap_servers"])
            raise KafkaUnusableError(
                f"Kafka at {servers} gives no producer id (AFTERSEND_KAFKA_BOOTSTRAP): {error!r}"
            ) from error

    async def _connect(self) -> None:
        patches.require()
        producer = AIOKafkaProducer(
            **self._options,
            enable_idempotence=True,
            acks="all",
            max_batch_size=MAX_BATCH_BYTES,
            max_request_size=_BATCHES_IN_REQUEST * MAX_BATCH_BYTES,
            linger_ms=0,  # batches have lingered before they are sent
        )
        throttle_metadata(producer)
        try:
            await producer.start()
            await self._prepare(producer)
        except BaseException:
            await force_close(producer)
            raise
        self.current = producer
        self.new_builder = producer.create_batch
        self._resume()

    def spawn(self, delivery: Coroutine[Any, Any, None]) -> None:
        """Run a delivery; it is cancelled when the producer is replaced."""
        task = asyncio.get_running_loop().create_task(delivery)
        self._deliveries.add(task)
        task.add_done_callback(self._deliveries.discard)

    def replace(self, reason: str) -> None:
        """Start replacing the producer, unless that is under way."""
        if self._replacement is not None or self._closing:
            return
        log.error("producer given up; another one is started", why=reason)
        self._replacement = asyncio.get_running_loop().create_task(self._replace())

    async def _replace(self) -> None:
        failed, self.current = self.current, None
        try:
            self._cancel_deliveries()
            if failed is not None:
                await force_close(failed)
            for delay in chain(_BACKOFF_SECONDS, repeat(_BACKOFF_SECONDS[-1])):
                try:
                    async with asyncio.timeout(_START_SECONDS):
                        await self._connect()
                except (KafkaError, OSError, TimeoutError, RuntimeError) as error:
                    log.warning("no new producer yet", error=repr(error), seconds=delay)
                    await asyncio.sleep(delay)
                else:
                    log.info("new producer works")
                    return
        finally:
            self._replacement = None

    def _cancel_deliveries(self) -> None:
        for task in list(self._deliveries):
            task.cancel()

    async def drain(self, grace: float) -> None:
        """Wait for the deliveries in flight, then cancel the rest. No producer is started any more.

        Args:
            grace: seconds to wait.
        """
        self._closing = True
        if self._replacement is not None:
            self._replacement.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._replacement
        if self._deliveries:
            await asyncio.wait(self._deliveries, timeout=grace)
        self._cancel_deliveries()
        await asyncio.gather(*self._deliveries, return_exceptions=True)

    async def close(self) -> None:
        """Disconnect."""
        producer, self.current = self.current, None
        if producer is not None:
            await force_close(producer)
