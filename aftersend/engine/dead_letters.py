"""Records that can't be read: kept byte for byte, with the reason; and the breaker against draining a topic there."""

from __future__ import annotations

from collections import deque
from importlib.metadata import version
from typing import Final

from aftersend.engine.aiokafka.records import FetchedRecord
from aftersend.engine.transaction import MAX_BATCH_BYTES, Channel
from aftersend.errors import BreakerTrippedError

#: Headers that say why a record is here and where it lies, in this order after its own.
HEADERS: Final = (
    "aftersend.error",
    "aftersend.message",
    "aftersend.topic",
    "aftersend.partition",
    "aftersend.offset",
    "aftersend.version",
)
#: Header of a record that was replayed from the dead letters: where it lay first, as `topic-partition-offset`.
REPLAYED: Final = "aftersend.replayed"

#: Header of a letter that is a reference: the record's size in bytes, which is more than a letter can hold.
LEFT_OUT: Final = "aftersend.left-out-bytes"

_VERSION: Final = version("aftersend").encode()
_MAX_MESSAGE: Final = 1000
#: What a letter may take besides the record: our headers, of which the message has up to 4 bytes a character, and
#: what frames a record.
_OWN_BYTES: Final = 4 * _MAX_MESSAGE + 2_000


def write(channel: Channel, record: FetchedRecord, topic: str, partition: int, error: Exception) -> None:
    """Put a record that can't be read among the dead letters: key, value and headers untouched, ours added.

    Where these would take more than Kafka takes, the letter is a reference: the headers say where the record lies, and
    how large it is.

    Args:
        channel: of the dead-letter topic.
        record: as it was fetched.
        topic: where it was.
        partition: where it was.
        error: why it can't be read.
    """
    headers: list[tuple[str, bytes]] = [(name, value or b"") for name, value in record.headers]
    said = (
        type(error).__name__.encode(),
        str(error)[:_MAX_MESSAGE].encode("utf-8", "replace"),
        topic.encode(),
        str(partition).encode(),
        str(record.offset).encode(),
        _VERSION,
    )
    key, value = record.key or b"", record.value or b""
    size = len(key) + len(value) + sum(len(name) + len(content) for name, content in headers)
    if size > MAX_BATCH_BYTES - _OWN_BYTES:
        headers = [*zip(HEADERS, said, strict=True), (LEFT_OUT, str(size).encode())]
        channel.append(None, None, record.timestamp, headers)
        return
    headers += zip(HEADERS, said, strict=True)
    channel.append(record.key, record.value, record.timestamp, headers)


class Breaker:
    """Trips when too large a share of the last records could not be read.

    Args:
        share: of the last records that may fail, 0 to 1.
        window: how many records are looked at; nothing trips before there were as many.
    """

    def __init__(self, share: float, window: int) -> None:
        self._share = share
        self._window = window
        self._batches: deque[tuple[int, int]] = deque()
        self._records = self._failures = 0

    def count(self, records: int, failures: int) -> None:
        """Count a batch.

        Raises:
            BreakerTrippedError: if the worker should stop before it does more harm.
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
