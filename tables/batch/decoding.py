"""Events from the records of a batch; unreadable records go to the dead letters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from aftersend.engine import dead_letters
from aftersend.engine.transaction import Output
from aftersend.schemas.event import FoldEvent
from aftersend.tables.codec.public import Codec

_decode_event: Final = msgspec.json.Decoder(FoldEvent).decode
_UNREADABLE: Final = (msgspec.MsgspecError, TypeError, ValueError, RecursionError)


class EventDecoder:
    """Decodes the events of one batch.

    Args:
        codec: has the names of the topics.
        topic: the source of the records.
        partition: number of their partition.
        output: of the batch, which takes the dead letters.
    """

    def __init__(self, codec: Codec, topic: str, partition: int, output: Output) -> None:
        self._codec = codec
        self._topic = topic
        self._partition = partition
        self._output = output
        #: Number of unreadable records by the name of the error's class.
        self.errors: dict[str, int] = {}

    def decode(self, records: Sequence[Any]) -> tuple[list[FoldEvent], Sequence[Any]]:
        """Return the events of the readable records, and those records."""
        try:
            return [_decode_event(record.value or b"") for record in records], records
        except _UNREADABLE:
            return self._decode_one_by_one(records)

    def _decode_one_by_one(self, records: Sequence[Any]) -> tuple[list[FoldEvent], list[Any]]:
        events, readable = [], []
        for record in records:
            try:
                events.append(_decode_event(record.value))
            except _UNREADABLE as error:
                self.reject(record, error)
            else:
                readable.append(record)
        return events, readable

    def reject(self, record: Any, error: Exception) -> None:
        """Write an unreadable record to the dead letters."""
        letters = self._output.channel(self._codec.topics.dead_letters, self._partition)
        dead_letters.write(letters, record, self._topic, self._partition, error)
        name = type(error).__name__
        self.errors[name] = self.errors.get(name, 0) + 1
