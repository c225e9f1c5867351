"""Reading a raw record's JSON, also where a log hook packed several records into one, with errors that say where."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, Final, Generic, NoReturn, TypeVar

import msgspec

from aftersend.sources.base import SourceError

#: What msgspec raises on input that it can't read: `DecodeError` (malformed, or a field of the wrong type), and two
#: of Python's own for bytes that are no UTF-8 and for nesting without end.
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"

_REPLACEMENT: Final = "\ufffd"
_SURROGATE: Final = re.compile("[\ud800-\udfff]")

T = TypeVar("T")


class RecordReader(Generic[T]):
    """Reads raw bytes as records of one type: an object, an array of objects, or lines of either."""

    __slots__ = ("_read_array", "_read_one")

    def __init__(self, kind: Any) -> None:
        self._read_one: Callable[[bytes], T] = msgspec.json.Decoder(kind).decode
        self._read_array: Callable[[bytes], list[T]] = msgspec.json.Decoder(list[kind]).decode

    def read(self, raw: bytes) -> list[T]:
        """Return the records.

        All or nothing: with one bad record in it the raw record is a dead letter, to be replayed as a whole.

        Raises:
            SourceError: saying what is wrong, and at which byte or field.
        """
        return [record for where, text in _texts(raw) for record in self._read(text, where)]

    def _read(self, text: bytes, where: str) -> list[T]:
        try:
            return self._read_array(text) if text[:1] == b"[" else [self._read_one(text)]
        except UNREADABLE as error:
            raise SourceError(f"{where}{_explain(error, text)}") from error


class Values(msgspec.Struct):
    """What a raw record holds, whatever it is."""

    items: list[Any]
    #: Whether something had to be replaced by U+FFFD to read it.
    repaired: bool


def read_values(raw: bytes) -> Values:
    """Return the JSON values of a record: those of an array, one alone, or lines of either. The slow and patient way.

    What RFC 8259 allows and a strict reader refuses is read too: half a surrogate pair, numbers beyond a float; and so
    are bytes that are no UTF-8, which providers pass on from user agents and from answers of hosts. What is no
    character becomes U+FFFD.

    Raises:
        SourceError: if it is no JSON, saying where.
    """
    items: list[Any] = []
    repaired = False
    for where, text in _texts(raw):
        try:
            value = msgspec.json.decode(text)
        except UNREADABLE as error:
            value, changed = _read_leniently(text, where, error)
            repaired = repaired or changed
        items.extend(value if isinstance(value, list) else [value])
    return Values(items, repaired)


def _read_leniently(text: bytes, where: str, error: Exception) -> tuple[Any, bool]:
    """Return what a strict reader could not read, and whether something of it was replaced."""
    whole = text.decode("utf-8", "replace")
    try:
        value = json.loads(whole, parse_constant=_refuse)
        repaired, changed = _repair(value)
    except (ValueError, RecursionError):
        raise SourceError(f"{where}{_explain(error, text)}") from error
    return repaired, changed or _REPLACEMENT in whole


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _repair(value: Any) -> tuple[Any, bool]:
    """Return a value with U+FFFD for each half of a surrogate pair, and whether there was one."""
    if isinstance(value, str):
        repaired = _SURROGATE.sub(_REPLACEMENT, value)
        return repaired, repaired is not value
    if isinstance(value, list):
        parts = [_repair(item) for item in value]
        return [item for item, _ in parts], any(changed for _, changed in parts)
    if isinstance(value, dict):
        pairs = [(*_repair(key), *_repair(item)) for key, item in value.items()]
        return {key: item for key, _, item, _ in pairs}, any(one or other for _, one, _, other in pairs)
    return value, False


def _texts(raw: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the JSON texts of a record, each with the words that say where it is.

    Raises:
        SourceError: if there is none.
    """
    text = raw.removeprefix(_BYTE_ORDER_MARK).strip()
    if not text:
        raise SourceError("the record is empty")
    lines = text.split(b"\n")
    # The first of several lines is a whole record, or array; one object over several lines is not.
    if len(lines) > 1 and lines[0].rstrip().endswith((b"}", b"]")):
        yield from ((f"line {number}: ", line.strip()) for number, line in enumerate(lines, 1) if line.strip())
    else:
        yield "", text


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
