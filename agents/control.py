"""Reads the control topic: commands of operators to running workers."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

import msgspec
import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from aftersend.config.settings import Settings
from aftersend.engine.tasks import cancel
from aftersend.schemas.control import ResumeCommand, SkippedRecord

log = structlog.get_logger(__name__)

#: Before the topic is read again after a failure, seconds: operators repeat a command that shows no effect.
_RETRY_SECONDS: Final = 5.0
_decode: Final = msgspec.json.Decoder(ResumeCommand).decode
_decode_skipped: Final = msgspec.json.Decoder(SkippedRecord).decode


class ControlReader:
    """Reads the control topic from its end at the first connection.

    Args:
        settings: of the worker.
        on_resume: executes a command.
    """

    def __init__(self, settings: Settings, on_resume: Callable[[ResumeCommand], None]) -> None:
        self._settings = settings
        self._on_resume = on_resume
        self._partition = TopicPartition(settings.topics.control, 0)
        #: Offset of the next command; None: commands before the first connection do not matter.
        self._position: int | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start the task."""
        self._task = asyncio.create_task(self._run(), name="control")

    async def stop(self) -> None:
        """Stop the task."""
        if self._task is not None:
            await cancel(self._task)

    async def _run(self) -> None:
        while True:
            try:
                await self._read()
            except (KafkaError, OSError) as error:
                log.warning("the control topic can't be read", error=repr(error))
            await asyncio.sleep(_RETRY_SECONDS)

    async def _read(self) -> None:
        consumer = AIOKafkaConsumer(
            **self._settings.kafka_options(), enable_auto_commit=False, isolation_level="read_committed"
        )
        await consumer.start()
        try:
            consumer.assign([self._partition])
            if self._position is None:
                await consumer.seek_to_end(self._partition)
                self._position = await consumer.position(self._partition)
            consumer.seek(self._partition, self._position)
            while True:
                record = await consumer.getone(self._partition)
                self._position = record.offset + 1
                self._execute(record.value or b"")
        finally:
            await consumer.stop()

    def _execute(self, value: bytes) -> None:
        with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            skipped = _decode_skipped(value)
            log.warning("a damaged record of a changelog was skipped", **msgspec.structs.asdict(skipped))
            return
        try:
            command = _decode(value)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            log.warning("a command on the control topic can't be read", error=str(error))
            return
        log.info("resume", topic=command.topic, tenant=command.tenant, by=command.by)
        self._on_resume(command)
