"""Dead letters: records that can't be read, kept byte for byte with the reason; and the breaker that limits them."""

from __future__ import annotations

from importlib.metadata import version
from typing import Final

from aftersend.engine.aiokafka.records import FetchedRecord
from aftersend.engine.transaction import MAX_BATCH_BYTES, Channel

#: Headers with the reason and the place of the original record, in this order after the record's own.
HEADERS: Final = (
    "aftersend.error",
    "aftersend.message",
    "aftersend.topic",
    "aftersend.partition",
    "aftersend.offset",
    "aftersend.version",
)
#: Header of a record that was replayed from the dead letters: its original place, as `topic-partition-offset`.
REPLAYED: Final = "aftersend.replayed"
#: Header of a reference, written instead of a record that is too large for a dead letter: its size in bytes.
LEFT_OUT: Final = "aftersend.left-out-bytes"

_VERSION: Final = version("aftersend").encode()
#: Longest error message in a header, characters: parsers quote the input.
_MAX_MESSAGE: Final = 1000
#: What a dead letter may take besides the record, bytes: our headers, with a message of up to 4 bytes a character, and
#: the framing of a record.
_OWN_BYTES: Final = 4 * _MAX_MESSAGE + 2_000


def write(channel: Channel, record: FetchedRecord, topic: str, partition: int, error: Exception) -> None:
    """Write a record to the dead letters: key, value and headers unchanged, our headers added.

    Where that is more than Kafka accepts, the letter is a reference: its headers give the record's place and size.

    Args:
        channel: of the dead-letter topic.
        record: the record that can't be read.
        topic: its topic.
        partition: its partition.
        error: why it can't be read.
    """
    headers: list[tuple[str, bytes]] = [(name, value or b"") for name, value in record.headers]
    values = (
        type(error).__name__.encode(),
        str(error)[:_MAX_MESSAGE].encode("utf-8", "replace"),
        topic.encode(),
        str(partition).encode(),
        str(record.offset).encode(),
        _VERSION,
    )
    own = zip(HEADERS, values, strict=True)
    size = len(record.key or b"") + len(record.value or b"")
    size += sum(len(name) + len(content) for name, content in headers)
    if size > MAX_BATCH_BYTES - _OWN_BYTES:
        replayed = [header for header in headers if header[0] == REPLAYED]  # else the next replay would double it
        channel.append(None, None, record.timestamp, [*replayed, *own, (LEFT_OUT, str(size).encode())])
        return
    headers += own
    channel.append(record.key, record.value, record.timestamp, headers)
