"""What operators decide: releases of addresses from quarantine, as `aftersend quarantine release` writes them.

A raw topic like the others, so what was decided is replayed with all else, and stays there to be read by auditors; see
`README.md` beside this. Nothing comes in over HTTP here.
"""

from __future__ import annotations

from typing import Final

from aftersend.schemas.event import Feedback
from aftersend.sources.base import Parser, SourceError, SourceOptions
from aftersend.sources.own.operations.payload import OperationRecord
from aftersend.sources.parsing.address import normalise
from aftersend.sources.parsing.event_ids import event_id
from aftersend.sources.parsing.json_records import RecordReader
from aftersend.sources.parsing.metadata import label
from aftersend.sources.parsing.times import rfc3339

NAME: Final = "operations"


class _Operations:
    """Turns operators' decisions into events."""

    __slots__ = ("_reader",)

    def __init__(self) -> None:
        self._reader: RecordReader[OperationRecord] = RecordReader(OperationRecord)

    def parse(self, raw: bytes) -> list[Feedback]:
        """Return the events of a raw record: one object, an array of them or lines of them.

        Raises:
            SourceError: if it can't be read.
        """
        return [_event(record) for record in self._reader.read(raw)]


def _event(record: OperationRecord) -> Feedback:
    recipient = normalise(record.recipient)
    if not recipient:
        raise SourceError("a release without a recipient")
    at = rfc3339(record.time) if isinstance(record.time, str) else record.time
    return Feedback(
        event_id=label("id", record.id) or event_id(f"release|{recipient}|{at}|{record.by}|{record.why}"),
        delivery_id="",
        recipient=recipient,
        type="released",
        occurred_at=at,
        source=NAME,
        reason=record.by,
        diagnostic=record.why,
        address="" if record.recipient == recipient else record.recipient,
        detail=label("batch", record.batch),
    )


def parser(_options: SourceOptions) -> Parser:
    """Return the parser; no installation sets anything for it."""
    return _Operations().parse
