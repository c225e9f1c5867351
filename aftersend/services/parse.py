"""Parses raw records outside the stream: one record, or one a line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import BinaryIO

import msgspec

from aftersend.schemas.event import Feedback
from aftersend.sources.base import Parser, SourceError


class ParsedRecord(msgspec.Struct):
    """Result of parsing one record."""

    #: Line number, from 1; 0: the whole input is the record.
    line: int
    #: Events that are readable, even if another part of the record is not.
    events: list[Feedback] = []
    error: str = ""


def parse_stream(parse: Parser, stream: BinaryIO) -> Iterator[ParsedRecord]:
    """Yield the result of each record.

    If the first line is a record, each line is one, and they are parsed as they arrive. Otherwise the whole input may
    be one record, such as JSON over several lines; if it is not, its lines are parsed after all, for an error each.

    Args:
        parse: parser of the source.
        stream: input.
    """
    lines = iter(stream)
    at, first = next(((number, line) for number, line in enumerate(lines, 1) if line.strip()), (0, b""))
    if not at:
        return
    single = _parse(parse, first, at)
    if single.events or not single.error:
        yield single
        yield from _lines(parse, lines, at + 1)
        return
    rest = list(lines)
    whole = _parse(parse, b"".join([first, *rest]), 0)
    if whole.events or not whole.error or not any(line.strip() for line in rest):
        yield whole
        return
    yield single
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
