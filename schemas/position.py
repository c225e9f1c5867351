"""Records of the positions topic: how far each partition was processed, and which installation owns the topics."""

from __future__ import annotations

from typing import Final

import msgspec

#: Number of the state's format: rows, contacts and KPIs on their topics. A worker refuses topics of a later one.
STATE_FORMAT: Final = 1
_POSITION_KEY: Final = b"position\t"
_OWNER_KEY: Final = b"owner\t"
_SEPARATOR: Final = "\t"


class PartitionPosition(msgspec.Struct, frozen=True):
    """How far a partition was processed: written by the transaction that holds the results."""

    #: Offset of the first record that was not processed.
    offset: int
    #: Id of the topic, as hexadecimal digits: a topic that was created again has another one. "": not known.
    topic_id: str = ""


class TopicsOwner(msgspec.Struct, frozen=True):
    """The installation that owns a set of topics: written at its first start."""

    app_id: str
    cluster_id: str
    #: Of the events topic and of its changelogs.
    partitions: int
    format: int = STATE_FORMAT
    #: Seconds since 1970.
    claimed_at: float = 0.0

    @property
    def identity(self) -> str:
        """Cluster and application, as Redis names the owner too."""
        return f"{self.cluster_id}/{self.app_id}"


def position_key(topic: str, partition: int) -> bytes:
    """Return the key of a partition's position."""
    return _POSITION_KEY + f"{topic}{_SEPARATOR}{partition}".encode()


def partition_of_key(key: bytes) -> tuple[str, int] | None:
    """Return topic and partition of the key of a position, None for any other key."""
    if not key.startswith(_POSITION_KEY):
        return None
    topic, _, number = key.removeprefix(_POSITION_KEY).decode().rpartition(_SEPARATOR)
    return topic, int(number)


def owner_key(owner: TopicsOwner) -> bytes:
    """Return the key of an owner."""
    return _OWNER_KEY + owner.identity.encode()


def is_owner_key(key: bytes) -> bool:
    """Return whether a key is an owner's."""
    return key.startswith(_OWNER_KEY)
