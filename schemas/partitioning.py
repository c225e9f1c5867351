"""Which partition a record lies in: CRC-32 of its key, the only place that says so."""

from __future__ import annotations

from typing import Final
from zlib import crc32

#: The hash of a key, as librdkafka's default partitioner has it: quick, from Python's standard library. Never changed:
#: rows and contacts lie where it put them.
key_hash: Final = crc32


def partition_of_key(key: bytes, partitions: int) -> int:
    """Return the partition of a topic in which the records with a key lie."""
    return key_hash(key) % partitions


def partition_of(recipient: str, partitions: int) -> int:
    """Return the partition of the events topic in which all that concerns a recipient lies.

    Args:
        recipient: the address, normalised.
        partitions: of the topic.
    """
    return key_hash(recipient.encode()) % partitions
