"""What operators decide: releases of addresses from quarantine, as `aftersend quarantine release` writes them.

A raw topic like the others, so what was decided is replayed with all else, and stays there to be read by auditors; see
`docs/sources/operations.md`. Nothing comes in over HTTP here.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

from aftersend.schemas.event import Feedback
from aftersend.sources.base import Parser, Source, SourceError, SourceOptions
from aftersend.sources.parsing.address import normalise
from aftersend.sources.parsing.event_ids import event_id
from aftersend.sources.parsing.json_records import RecordReader
from aftersend.sources.parsing.metadata import label
from aftersend.sources.parsing.times import Seconds, rfc3339

NAME: Final = "operations"

#: As long as a name or a reason may be, characters.
MAX_WORDS: Final = 250
_Words = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_WORDS)]


class OperationRecord(msgspec.Struct, gc=False, omit_defaults=True):
    """One decision about one address. What is none of these is an error: an operator means what he writes."""

    event: Literal["release"]
    recipient: str
    #: When the operator looked, seconds since 1970 or RFC 3339: only what was quarantined by then is released.
    time: Seconds | str
    #: Who decided it, and why.
    by: _Words
    why: _Words
    #: The operator's own id of the decision; without one it is made of the other fields.
    id: str | None = None
    #: The same for all addresses that were released in one go.
    batch: str | None = None


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


SOURCE: Final = Source(
    name=NAME, number=5, title="operators' decisions, such as releases from quarantine", parser=parser
)
