"""How dead letters are shown."""

import base64

import pytest

from aftersend.cli.render.dead_letters import Overview, as_json, content, picture
from aftersend.schemas.raw import RecordPosition
from aftersend.services.dead_letters.letters import DeadLetter


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


def test_text_is_shown_as_it_is() -> None:
    assert ["<html>", "é"] == list(content("<html>\r\né".encode()))


@pytest.mark.parametrize("value", [b"\xff\xfe{", b"\x1b[2J{"])
def test_what_a_terminal_can_not_show_is_shown_in_hexadecimal(value: bytes) -> None:
    (line,) = content(value)

    assert line.startswith(f"00000000  {value.hex(' ')} ")
    assert line.isprintable()
    assert line.endswith("{")


def test_a_dump_has_sixteen_bytes_a_line() -> None:
    lines = list(content(bytes(range(128, 128 + 20))))

    assert ["00000000", "00000010"] == [line[:8] for line in lines]
    assert len(lines[0]) == len(lines[1]) + 12


def test_nothing_is_said_to_be_nothing() -> None:
    assert ["(empty)"] == list(content(b""))
    assert ["(no value)"] == list(content(None))


def test_a_picture_tells_where_and_why() -> None:
    shown = "\n".join(picture(letter()))

    for expected in ("letters-0-5", "raw-1-2", "SourceError", "why", "header h", "\\xff", "{}"):
        assert expected in shown


def test_scripts_get_bytes_that_are_no_text_in_base64() -> None:
    told = as_json(letter(value=b"\xff"), content=True)

    assert "k" == told["key"]
    assert b"\xff" == base64.b64decode(told["value_base64"])
    assert [{"name": "h", "value_base64": "/w=="}] == told["headers"]
    assert "1970-01-01T00:00:01.000Z" == told["arrived_at"]


def test_the_latest_are_kept_and_all_are_counted() -> None:
    overview = Overview(2)
    for at in (3000, 1000, 5000, 2000):
        overview.add(letter(at, offset=at, error="A" if at < 3000 else "B"))

    assert [5000, 3000] == [one.timestamp for one in overview.latest()]
    assert {("raw", "A"): 2, ("raw", "B"): 2} == overview.counts
    assert 4 == overview.total


def test_none_may_be_kept() -> None:
    overview = Overview(0)
    overview.add(letter())

    assert ([], 1) == (overview.latest(), overview.total)
