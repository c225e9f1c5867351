import io
import json
from collections.abc import Iterator

import pytest

from aftersend.schemas.event import Feedback
from aftersend.services.parse import ParsedRecord, parse_stream
from aftersend.sources.base import SourceError


def parser(raw: bytes) -> list[Feedback]:
    """Return one event for each name in a JSON object's list."""
    try:
        found = json.loads(raw)
    except ValueError as error:
        raise SourceError(str(error)) from error
    if not isinstance(found, dict):
        raise SourceError("no object")
    return [Feedback(name, "d", "r", "sent") for name in found["ids"]]


def parsed(text: str) -> list[tuple[int, list[str], bool]]:
    results = list(parse_stream(parser, io.BytesIO(text.encode())))
    assert all(isinstance(result, ParsedRecord) for result in results)
    return [(one.line, [event.event_id for event in one.events], bool(one.error)) for one in results]


@pytest.mark.parametrize(
    "text, expected",
    [
        ("", []),
        ("\n \n", []),
        ('{"ids": ["a", "b"]}', [(1, ["a", "b"], False)]),
        ('{"ids": ["a"]}\n{"ids": ["b"]}\r\n', [(1, ["a"], False), (2, ["b"], False)]),
        ('\n{"ids": ["a"]}\n\n{"ids": ["b"]}', [(2, ["a"], False), (4, ["b"], False)]),
        ('{"ids": ["a"]}\nbroken\n{"ids": ["b"]}\n', [(1, ["a"], False), (2, [], True), (3, ["b"], False)]),
        ('{\n "ids": ["a"]\n}\n', [(0, ["a"], False)]),
        ('broken\n{"ids": ["b"]}\n', [(1, [], True), (2, ["b"], False)]),
        ("broken", [(0, [], True)]),
        ("broken\nbroken too", [(1, [], True), (2, [], True)]),
    ],
)
def test_records_and_lines_are_counted(text: str, expected: list[tuple[int, list[str], bool]]) -> None:
    assert expected == parsed(text)


def test_lines_are_parsed_as_they_come() -> None:
    """The end of a log that is being written is not detected as its end."""

    class Endless(io.RawIOBase):
        lines = 0

        def readable(self) -> bool:
            return True

        def __next__(self) -> bytes:
            self.lines += 1
            return b'{"ids": ["%d"]}\n' % self.lines

    stream = Endless()
    results = parse_stream(parser, stream)  # type: ignore[arg-type]

    assert ["1"] == [event.event_id for event in next(results).events]
    assert ["2"] == [event.event_id for event in next(results).events]
    assert 2 == stream.lines


def test_the_readable_part_of_a_record_is_returned_with_the_error() -> None:
    def half(raw: bytes) -> Iterator[Feedback]:
        yield Feedback(raw.decode(), "d", "r", "sent")
        raise SourceError("1 of 2 can't be read")

    results = list(parse_stream(half, io.BytesIO(b"a\nb\n")))
    assert [(1, ["a"], True), (2, ["b"], True)] == [
        (one.line, [event.event_id for event in one.events], bool(one.error)) for one in results
    ]
