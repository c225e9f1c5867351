"""Commands to running workers, through the control topic."""

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
    """Resume a paused source, or one of its tenants: all workers parse its records again.

    Args:
        settings: of the installation.
        source: name of a source, or `events` for the events topic.
        tenant: None: the source and all its tenants.

    Raises:
        UsageError: if there is no such source.
        KafkaUnusableError: if Kafka does not acknowledge the command.
    """
    topics = settings.topics
    sources = {name: topics.raw(name) for name in raw_sources()} | {"events": topics.events}
    if source not in sources:
        raise UsageError(f"there is no source {source!r}: use one of {', '.join(sources)}")
    command = ResumeCommand(sources[source], tenant, getpass.getuser(), time.time())
    producer = AIOKafkaProducer(**settings.kafka_options(), enable_idempotence=True)
    try:
        await producer.start()
        await producer.send_and_wait(topics.control, msgspec.json.encode(command), partition=0)
    except (KafkaError, OSError) as error:
        raise KafkaUnusableError(
            f"Kafka has not acknowledged the command: {type(error).__name__}: {error}; `aftersend topics apply` "
            f"creates the topic {topics.control} if it is missing"
        ) from error
    finally:
        await producer.stop()
    return command
