"""Dead letters: records that can't be read, kept byte for byte with the reason; and the breaker that limits them."""

from __future__ import annotations

from collections import deque
from importlib.metadata import version
from typing import Final

from aftersend.engine.aiokafka.records import FetchedRecord
from aftersend.engine.transaction import MAX_BATCH_BYTES, Channel
from aftersend.errors import BreakerTrippedError

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
        channel.append(None, None, record.timestamp, [*own, (LEFT_OUT, str(size).encode())])
        return
    headers += own
    channel.append(record.key, record.value, record.timestamp, headers)


class Breaker:
    """Stops the worker when too large a share of the last records can't be read.

    A wrong topic or a wrong version would otherwise move everything to the dead letters.

    Args:
        share: of the last records that may fail, 0 to 1.
        window: number of last records; the breaker does not trip before it has seen as many.
    """

    def __init__(self, share: float, window: int) -> None:
        self._share = share
        self._window = window
        self._batches: deque[tuple[int, int]] = deque()
        self._records = self._failures = 0

    def count(self, records: int, failures: int) -> None:
        """Count a batch.

        Raises:
            BreakerTrippedError: if too many have failed. The batch must not be committed.
        """
        self._batches.append((records, failures))
        self._records += records
        self._failures += failures
        while self._records - self._batches[0][0] >= self._window:
            old_records, old_failures = self._batches.popleft()
            self._records -= old_records
            self._failures -= old_failures
        if self._records >= self._window and self._failures > self._share * self._records:
            raise BreakerTrippedError(
                f"{self._failures} of the last {self._records} records could not be read, more than breaker_share "
                f"({self._share:.0%}) allows: is this the right topic, and the right version? The batch that tripped "
                "the breaker was not committed; nothing is lost. Raise AFTERSEND_BREAKER_SHARE to go on all the same."
            )
