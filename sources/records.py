"""Reading a raw record's JSON, also where a log hook packed several records into one, with errors that say where."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

import msgspec

from sources.base import SourceError

#: What msgspec raises on input that it can't read: `DecodeError` (malformed, or a field of the wrong type), and two
#: of Python's own for bytes that are no UTF-8 and for nesting without end.
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"

T = TypeVar("T")


class RecordReader(Generic[T]):
    """Reads raw bytes as records of one type: an object, an array of objects, or lines of either."""

    __slots__ = ("_read_array", "_read_one")

    def __init__(self, kind: Any) -> None:  # noqa: ANN401 - a generic alias of a struct has no type to name
        """Prepare for a struct type."""
        self._read_one: Callable[[bytes], T] = msgspec.json.Decoder(kind).decode
        self._read_array: Callable[[bytes], list[T]] = msgspec.json.Decoder(list[kind]).decode

    def read(self, raw: bytes) -> list[T]:
        """Return the records.

        All or nothing: with one bad record in it the raw record is a dead letter, to be replayed as a whole.

        Raises:
            SourceError: saying what is wrong, and at which byte or field.
        """
        text = raw.removeprefix(_BYTE_ORDER_MARK).strip()
        if not text:
            message = "the record is empty"
            raise SourceError(message)
        lines = text.split(b"\n")
        # The first of several lines is a whole record, or array; one object over several lines is not.
        if len(lines) > 1 and lines[0].rstrip().endswith((b"}", b"]")):
            return [
                record
                for number, line in enumerate(lines, 1)
                if line.strip()
                for record in self._read(line.strip(), f"line {number}: ")
            ]
        return self._read(text, "")

    def _read(self, text: bytes, where: str) -> list[T]:
        try:
            return self._read_array(text) if text[:1] == b"[" else [self._read_one(text)]
        except UNREADABLE as error:
            message = f"{where}{_explain(error, text)}"
            raise SourceError(message) from error


def _explain(error: Exception, text: bytes) -> str:
    """Return what is wrong with a text, and where."""
    if isinstance(error, RecursionError):
        return "JSON is nested too deeply"
    if isinstance(error, UnicodeDecodeError):
        # The position that Python names is within one string of the record; it is looked up in the whole.
        start = text.find(error.object) + error.start
        return f"not UTF-8: {error.reason} (byte {start})"
    reason = str(error)
    return f"{reason} (it ends at byte {len(text)})" if reason == "Input data was truncated" else reason
