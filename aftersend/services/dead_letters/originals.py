"""Reads the records that dead letters refer to instead of holding them."""

from __future__ import annotations

import asyncio
from typing import Final

from aftersend.config.settings import Settings
from aftersend.engine import changelog
from aftersend.errors import KafkaUnusableError
from aftersend.services.dead_letters.records import DeadLetter

#: Reading a record fails after this time, seconds.
_SILENCE_SECONDS: Final = 30.0


async def complete(settings: Settings, letter: DeadLetter) -> bool:
    """Read the record of a letter that only refers to it; return whether the letter has its record now.

    Raises:
        KafkaError: if Kafka does not answer.
        KafkaUnusableError: if the record can't be read in time.
    """
    if not letter.left_out_bytes:
        return True
    try:
        async with asyncio.timeout(_SILENCE_SECONDS):
            record = await changelog.read_one(settings.kafka_options(), *letter.origin)
    except TimeoutError as error:
        raise KafkaUnusableError(
            f"{letter.origin} can't be read: Kafka has sent nothing for {_SILENCE_SECONDS:.0f} s"
        ) from error
    if record is None:
        return False
    letter.key, letter.value = record.key, record.value
    letter.headers = [(name, bytes(value or b"")) for name, value in record.headers]
    return True
