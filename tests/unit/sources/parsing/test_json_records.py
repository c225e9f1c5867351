"""Several records in one, and errors that say where."""

import contextlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aftersend.sources.base import SourceError
from aftersend.sources.parsing.json_records import RecordReader, Values, read_values


class Record(msgspec.Struct):
    name: str
    number: int = 0


READER: RecordReader[Record] = RecordReader(Record)


@pytest.mark.parametrize(
    "raw",
    [
        b'[{"name": "a"}, {"name": "b", "number": 2}]',
        b'{"name": "a"}\n{"name": "b", "number": 2}\n',
        b'{"name": "a"}\r\n\r\n{"name": "b", "number": 2}\r\n',
        b'\xef\xbb\xbf [\n{"name": "a"},\n{"name": "b", "number": 2}\n]',
        b'[{"name": "a"}]\n[{"name": "b", "number": 2}]',
    ],
)
def test_several_records(raw: bytes) -> None:
    assert [Record("a"), Record("b", 2)] == READER.read(raw)


@pytest.mark.parametrize("raw", [b'{"name": "a"}\n', b'\xef\xbb\xbf{"name": "a"}', b'{\n"name":\n"a"\n}'])
def test_one_record(raw: bytes) -> None:
    assert [Record("a")] == READER.read(raw)


def test_no_records() -> None:
    assert [] == READER.read(b"[]")


@pytest.mark.parametrize(
    "raw,message",
    [
        (b"", "the record is empty"),
        (b" \r\n", "the record is empty"),
        (b'{"name": "a"', "truncated (it ends at byte 12)"),
        (b'{"name": x}', "invalid character (byte 9)"),
        (b'{"name": "a"} {"name": "b"}', "trailing characters (byte 15)"),
        (b'{"name": 1}', "Expected `str`, got `int` - at `$.name`"),
        (b'{"number": 1}', "Object missing required field `name`"),
        (b'"a"', "Expected `object`, got `str`"),
        (b"null", "Expected `object`, got `null`"),
        (b'[{"name": "a"}, {"name": 2}]', "Expected `str`, got `int` - at `$[1].name`"),
        (b'{"name": "a"}\n\n{"name": 2}', "line 3: Expected `str`, got `int` - at `$.name`"),
        (b'{"name": "a"}\n{"name": "b', "line 2: Input data was truncated"),
        (b'{"name": "a\xff"}', "not UTF-8: invalid start byte (byte 11)"),
        (b'{"name": "\xed\xa0\x80"}', "not UTF-8: invalid continuation byte (byte 10)"),
        (b'{"other": ' + b"[" * 100_000, "JSON is nested too deeply"),
    ],
)
def test_errors_say_what_and_where(raw: bytes, message: str) -> None:
    with pytest.raises(SourceError) as error:
        READER.read(raw)
    assert message in str(error.value)


@given(st.binary(max_size=200))
def test_junk_raises_nothing_else(raw: bytes) -> None:
    with contextlib.suppress(SourceError):
        READER.read(raw)


@pytest.mark.parametrize(
    "raw,items,repaired",
    [
        (b"[]", [], False),
        (b'[{"a": 1}, null]', [{"a": 1}, None], False),
        (b'{"a": 1}', [{"a": 1}], False),
        (b'\xef\xbb\xbf{"a": 1}\r\n\r\n[{"b": 2}]\r\n', [{"a": 1}, {"b": 2}], False),
        (b'["\\ud83d\\ude00"]', ["\U0001f600"], False),
        (b'["\\ud83d"]', ["\ufffd"], True),
        (b'{"\\ude00": {"a": ["\\ud83d"]}}', [{"\ufffd": {"a": ["\ufffd"]}}], True),
        (b'["caf\xe9"]', ["caf\ufffd"], True),
        (b"[1e999]", [float("inf")], False),
    ],
)
def test_values(raw: bytes, items: list[object], repaired: bool) -> None:
    assert Values(items, repaired) == read_values(raw)


@pytest.mark.parametrize(
    "raw", [b"", b"\r\n", b"[", b"[NaN]", b"{]", b"[" * 100_000, b'{"a": 1}\n{', b"[" + b"1" * 9999 + b"]"]
)
def test_what_is_no_json(raw: bytes) -> None:
    with pytest.raises(SourceError):
        read_values(raw)
