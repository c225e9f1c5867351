"""Requests of the Kafka protocol that aiokafka does not have: stable committed offsets, and ids of topics."""

from __future__ import annotations

from typing import ClassVar, Final

from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    AbstractType,
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Int64,
    Schema,
    TaggedFields,
)

_TAGS: Final = ("tags", TaggedFields)
_NO_TAGS: Final[dict[int, bytes]] = {}
#: Whether to create topics, and to tell who may do what with the cluster and its topics.
_NO: Final = False
_UUID_BYTES: Final = 16
#: In a request that names its topics.
_NO_ID: Final = bytes(_UUID_BYTES)


class Uuid(AbstractType[bytes]):  # type: ignore[misc]  # aiokafka has no types here
    """The protocol's UUID, as its 16 bytes."""

    @classmethod
    def encode(cls, value: bytes) -> bytes:
        """Return the bytes."""
        return value

    @classmethod
    def decode(cls, data: object) -> bytes:
        """Read the bytes."""
        return data.read(_UUID_BYTES)  # type: ignore[attr-defined, no-any-return]  # aiokafka's `BytesIO`


class OffsetFetchResponse_v7(Response):  # type: ignore[misc]  # noqa: N801 - aiokafka's form of these names
    """The committed offsets of a group."""

    API_KEY = 9
    API_VERSION = 7
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "topics",
            CompactArray(
                ("topic", CompactString("utf-8")),
                (
                    "partitions",
                    CompactArray(
                        ("partition", Int32),
                        ("offset", Int64),
                        ("leader_epoch", Int32),
                        ("metadata", CompactString("utf-8")),
                        ("error_code", Int16),
                        _TAGS,
                    ),
                ),
                _TAGS,
            ),
        ),
        ("error_code", Int16),
        _TAGS,
    )


class OffsetFetchRequest_v7(RequestStruct):  # type: ignore[misc]  # noqa: N801 - as above
    """Asks for committed offsets; the first version with `require_stable` (KIP-447)."""

    FLEXIBLE_VERSION = True
    API_KEY = 9
    API_VERSION = 7
    RESPONSE_TYPE = OffsetFetchResponse_v7
    SCHEMA = Schema(
        ("consumer_group", CompactString("utf-8")),
        ("topics", CompactArray(("topic", CompactString("utf-8")), ("partitions", CompactArray(Int32)), _TAGS)),
        ("require_stable", Boolean),
        _TAGS,
    )


class StableOffsetsRequest(Request[OffsetFetchRequest_v7]):  # type: ignore[misc]
    """Asks for the committed offsets of some partitions.

    A partition with an offset in a transaction that has not ended is answered with UNSTABLE_OFFSET_COMMIT.

    Args:
        group: the consumer group.
        topics: topics with their partitions.
        require_stable: False: such a partition is answered with its last offset.
    """

    API_KEY: ClassVar[int] = 9
    #: The only version.
    VERSION: ClassVar[int] = 7

    def __init__(self, group: str, topics: dict[str, list[int]], *, require_stable: bool = True) -> None:
        self._group = group
        self._topics = topics
        self._require_stable = require_stable

    def build(self, request_struct_class: type[OffsetFetchRequest_v7]) -> OffsetFetchRequest_v7:
        """Return the request in the version that the broker supports."""
        topics = [(topic, partitions, _NO_TAGS) for topic, partitions in self._topics.items()]
        return request_struct_class(self._group, topics, self._require_stable, _NO_TAGS)


class MetadataResponse_v10(Response):  # type: ignore[misc]  # noqa: N801 - as above
    """Brokers and topics of a cluster."""

    API_KEY = 3
    API_VERSION = 10
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            CompactArray(
                ("node_id", Int32),
                ("host", CompactString("utf-8")),
                ("port", Int32),
                ("rack", CompactString("utf-8")),
                _TAGS,
            ),
        ),
        ("cluster_id", CompactString("utf-8")),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("topic", CompactString("utf-8")),
                ("topic_id", Uuid),
                ("is_internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", CompactArray(Int32)),
                        ("isr", CompactArray(Int32)),
                        ("offline_replicas", CompactArray(Int32)),
                        _TAGS,
                    ),
                ),
                ("authorized_operations", Int32),
                _TAGS,
            ),
        ),
        ("cluster_authorized_operations", Int32),
        _TAGS,
    )


class MetadataRequest_v10(RequestStruct):  # type: ignore[misc]  # noqa: N801 - as above
    """Asks for topics; the first version with their ids (KIP-516)."""

    FLEXIBLE_VERSION = True
    API_KEY = 3
    API_VERSION = 10
    RESPONSE_TYPE = MetadataResponse_v10
    SCHEMA = Schema(
        ("topics", CompactArray(("topic_id", Uuid), ("topic", CompactString("utf-8")), _TAGS)),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
        _TAGS,
    )


class TopicIdsRequest(Request[MetadataRequest_v10]):  # type: ignore[misc]
    """Asks for the ids of topics: a topic that was deleted and created again has another one.

    Args:
        topics: their names.
    """

    API_KEY: ClassVar[int] = 3

    def __init__(self, topics: list[str]) -> None:
        self._topics = topics

    def build(self, request_struct_class: type[MetadataRequest_v10]) -> MetadataRequest_v10:
        """Return the request in the version that the broker supports."""
        topics = [(_NO_ID, topic, _NO_TAGS) for topic in self._topics]
        return request_struct_class(topics, _NO, _NO, _NO, _NO_TAGS)
