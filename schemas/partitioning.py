"""The partition of a record: CRC-32 of its key. The only definition."""

from __future__ import annotations

from typing import Final
from zlib import crc32

#: The hash of a key, equal to librdkafka's default partitioner; fast, and in Python's standard library. It never
#: changes: rows and contacts are stored in the partitions that it chose.
key_hash: Final = crc32


def partition_of_key(key: bytes, partitions: int) -> int:
    """Return the partition of a topic that holds the records with a key."""
    return key_hash(key) % partitions


def partition_of(recipient: str, partitions: int) -> int:
    """Return the partition of the events topic that holds all events of a recipient.

    Args:
        recipient: the address, normalised.
        partitions: of the topic.
    """
    return key_hash(recipient.encode()) % partitions
