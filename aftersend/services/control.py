"""Commands to running workers, by the control topic."""

from __future__ import annotations

import getpass
import time

import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from aftersend.config.installation import raw_sources
from aftersend.config.settings import Settings
from aftersend.errors import KafkaUnusableError, UsageError
from aftersend.schemas.control import ResumeCommand


async def resume(settings: Settings, source: str, tenant: str | None) -> ResumeCommand:
    """Tell all workers to parse the records of a paused source, or of one of its tenants, again.

    Args:
        settings: of the installation.
        source: a source's name, or `events` for the events topic.
        tenant: None: the source and all its tenants.

    Raises:
        UsageError: if there is no such source.
        KafkaUnusableError: if Kafka does not take the command.
    """
    topics = settings.topics
    known = {name: topics.raw(name) for name in raw_sources()} | {"events": topics.events}
    if source not in known:
        raise UsageError(f"there is no source {source!r}: say one of {', '.join(known)}")
    command = ResumeCommand(known[source], tenant, getpass.getuser(), time.time())
    producer = AIOKafkaProducer(**settings.kafka_options(), enable_idempotence=True)
    try:
        await producer.start()
        await producer.send_and_wait(topics.control, msgspec.json.encode(command), partition=0)
    except (KafkaError, OSError) as error:
        raise KafkaUnusableError(
            f"Kafka has not taken the command ({topics.control}): {type(error).__name__}: {error}; is the topic there "
            "(`aftersend topics apply`)?"
        ) from error
    finally:
        await producer.stop()
    return command
