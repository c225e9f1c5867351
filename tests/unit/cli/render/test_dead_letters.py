"""Dead letters as text, tables and JSON."""

import pytest

from aftersend.cli.render.dead_letters import content, letter_details
from aftersend.schemas.raw import RecordPosition
from aftersend.services.dead_letters.records import DeadLetter


def letter(at: int = 1000, value: bytes | None = b"{}", offset: int = 5, error: str = "SourceError") -> DeadLetter:
    return DeadLetter(
        RecordPosition("letters", 0, offset),
        at,
        b"k",
        value,
        [("h", b"\xff")],
        RecordPosition("raw", 1, 2),
        error,
        "why",
        "1.0",
    )


def test_json_is_indented() -> None:
    assert ["{", '  "a": [', "    1", "  ]", "}"] == list(content(b'{"a":[1]}'))


def test_text_is_unchanged() -> None:
    assert ["<html>", "é"] == list(content("<html>\r\né".encode()))


@pytest.mark.parametrize("value", [b"\xff\xfe{", b"\x1b[2J{"])
def test_bytes_that_are_not_text_are_a_hex_dump(value: bytes) -> None:
    (line,) = content(value)

    assert line.startswith(f"00000000  {value.hex(' ')} ")
    assert line.isprintable()
    assert line.endswith("{")


def test_a_hex_dump_has_sixteen_bytes_a_line() -> None:
    lines = list(content(bytes(range(128, 128 + 20))))

    assert ["00000000", "00000010"] == [line[:8] for line in lines]
    assert len(lines[0]) == len(lines[1]) + 12


def test_an_empty_or_missing_value_is_marked() -> None:
    assert ["(empty)"] == list(content(b""))
    assert ["(no value)"] == list(content(None))


def test_the_details_have_position_and_error() -> None:
    shown = "\n".join(letter_details(letter()))

    for expected in ("letters-0-5", "raw-1-2", "SourceError", "why", "header h", "\\xff", "{}"):
        assert expected in shown
