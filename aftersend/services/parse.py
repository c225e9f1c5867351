"""Raw bytes to canonical events outside the stream: one record, or one a line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import BinaryIO

import msgspec

from aftersend.schemas.event import Feedback
from aftersend.sources.base import Parser, SourceError


class ParsedRecord(msgspec.Struct):
    """What came of one record."""

    #: Line number, from 1; 0: the whole input is the record.
    line: int
    #: Those that could be read, also where another part of the record could not.
    events: list[Feedback] = []
    error: str = ""


def parse_stream(parse: Parser, stream: BinaryIO) -> Iterator[ParsedRecord]:
    """Yield what comes of each record.

    If the first line is a record, so is each line, and they are parsed as they come. Else the whole input may be one
    record (JSON over many lines, or whatever the source sends); if it is not, its lines are parsed after all, so that
    each error is told.
    """
    lines = iter(stream)
    at, first = next(((number, line) for number, line in enumerate(lines, 1) if line.strip()), (0, b""))
    if not at:
        return
    attempt = _parse(parse, first, at)
    if attempt.events or not attempt.error:
        yield attempt
        yield from _lines(parse, lines, at + 1)
        return
    rest = list(lines)
    whole = _parse(parse, b"".join([first, *rest]), 0)
    if whole.events or not whole.error or not any(line.strip() for line in rest):
        yield whole
        return
    yield attempt
    yield from _lines(parse, rest, at + 1)


def _lines(parse: Parser, lines: Iterable[bytes], start: int) -> Iterator[ParsedRecord]:
    for number, line in enumerate(lines, start):
        if line.strip():
            yield _parse(parse, line, number)


def _parse(parse: Parser, raw: bytes, line: int) -> ParsedRecord:
    parsed = ParsedRecord(line)
    try:
        for event in parse(raw.rstrip(b"\r\n")):
            parsed.events.append(event)
    except (SourceError, UnicodeError) as error:
        parsed.error = f"{error}"
    return parsed
