"""Text of strangers, made safe to show."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aftersend.printable import csv_cell, printable, printable_json, printable_lines, printable_value

ANYTHING = st.text(st.characters(exclude_categories=[]))


def raw(text: str, *allowed: str) -> list[str]:
    """Return the characters of a text that a terminal executes, or that nobody sees."""
    return [
        c for c in text if unicodedata.category(c) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"} and c not in allowed
    ]


@pytest.mark.parametrize(
    "text, expected",
    [
        ("user unknown", "user unknown"),
        ("Grüße 顧客 😀 ﷺ", "Grüße 顧客 😀 ﷺ"),
        ("a\u3000b\u00a0c", "a\u3000b\u00a0c"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("\x1b]8;;http://x\x07y", r"\x1b]8;;http://x\x07y"),
        ("\x9b2J\x7f\x00", r"\x9b2J\x7f\x00"),
        ("a\r\nb\tc", r"a\r\nb\tc"),
        ("exe\u202egnp", r"exe\u202egnp"),
        ("a\u200bb\u2060\ufeff\u00ad", r"a\u200bb\u2060\ufeff\xad"),
        ("a\u2028b", r"a\u2028b"),
        ("a\u034fb\ufe0fc\u3164", r"a\u034fb\ufe0fc\u3164"),
        ("\U000e0041", r"\U000e0041"),
        ("\ud800", r"\ud800"),
    ],
)
def test_what_is_not_visible_is_escaped(text: str, expected: str) -> None:
    assert expected == printable(text)


@given(ANYTHING)
def test_nothing_invisible_is_left_in_one_line(text: str) -> None:
    assert [] == raw(printable(text))


@given(ANYTHING)
def test_nothing_but_line_feeds_is_left_in_several(text: str) -> None:
    made = printable_lines(text)

    assert [] == raw(made, "\n")
    assert text.count("\n") == made.count("\n")


@given(st.recursive(ANYTHING | st.integers(), lambda i: st.lists(i) | st.dictionaries(ANYTHING, i)))
def test_json_has_the_same_value_and_nothing_invisible(value: object) -> None:
    encoded = json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")

    made = printable_json(encoded)

    assert json.loads(json.dumps(value)) == json.loads(made)
    assert [] == raw(made.decode())


@pytest.mark.parametrize(
    "value, expected",
    [
        ("=HYPERLINK(1)", "'=HYPERLINK(1)"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(1)", "'@SUM(1)"),
        ("\t=1", r"\t=1"),
        ("\r=1", r"\r=1"),
        ("\N{FULLWIDTH EQUALS SIGN}1", "'\N{FULLWIDTH EQUALS SIGN}1"),
        ("5.1.1", "5.1.1"),
        (-1, -1),
        (None, None),
    ],
)
def test_a_spreadsheet_computes_no_cell(value: object, expected: object) -> None:
    assert expected == csv_cell(value)


def test_values_are_printable_at_any_depth() -> None:
    assert {r"\x1b": [r"\x1b", {"a": r"\x00"}, 1, None]} == printable_value({"\x1b": ("\x1b", {"a": "\0"}, 1, None)})
