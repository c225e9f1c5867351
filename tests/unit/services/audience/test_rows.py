"""Rows and fields of CSV and of lists, with quotes of both kinds."""

from __future__ import annotations

import csv
import io
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aftersend.errors import UsageError
from aftersend.services.audience.rows import MAX_ROW, FileRow, read_rows


def rows(text: str, separator: str = ",") -> list[FileRow]:
    return list(read_rows(io.StringIO(text, newline=""), separator, "file"))


def fields(text: str, separator: str = ",") -> list[list[str]]:
    return [row.fields for row in rows(text, separator)]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_end_in_every_way(end: str) -> None:
    assert [FileRow(1, ["a", "b"]), FileRow(2, [""]), FileRow(3, ["c", "d"])] == rows(f"a,b{end}{end}c,d")


@pytest.mark.parametrize("separator", [",", ";", "\t", "|", " ", "^"])
def test_every_separator_divides(separator: str) -> None:
    text = f'a{separator}"b{separator}""c"""{separator}\n'
    assert [["a", f'b{separator}"c"', ""]] == fields(text, separator)


def test_quotes_may_hold_line_breaks() -> None:
    assert [FileRow(1, ["a\r\nb", "c"]), FileRow(3, ["d", "e"])] == rows('"a\r\nb",c\r\nd,"e"')
    assert [FileRow(1, ['a\n";\n'])] == rows('"a\n"";\n"\n')


def test_without_a_separator_each_row_is_one_value() -> None:
    assert [["a,b;c"], ["d,e"], ['"Doe, Jane" <a@b.example>']] == fields(
        'a,b;c\n"d,e"\n"Doe, Jane" <a@b.example>\n', ""
    )


def test_text_after_quotes_keeps_them_and_what_they_protect() -> None:
    assert [["1", '"Doe, Jane" <a@b.example>', "x"]] == fields('1,"Doe, Jane" <a@b.example>,x\n')
    assert [['"a b"@b.example', "x"]] == fields('"a b"@b.example,x\n')


def test_quotes_within_a_field_are_text() -> None:
    assert [['5" wide', "x"], ['Ana "Spam" Diaz', "y"]] == fields('5" wide,x\nAna "Spam" Diaz,y\n')


def test_blanks_around_quotes_are_no_part_of_a_value() -> None:
    assert [["a", "b, c", "d"]] == fields('a, "b, c" ,d\n')


@pytest.mark.parametrize(
    "text, line",
    [
        ('a\n"b,c\nd\n', 2),
        ('"a\nb\n"c",d\n', 1),
        ('a\n"b""\n', 2),
        ('"x\ny" z,1\n', 1),
        ('"a\nb";5"x"\nc"\n', 1),
    ],
)
def test_a_quote_that_is_not_closed_is_an_error_with_its_line(text: str, line: int) -> None:
    with pytest.raises(UsageError, match=rf"file: line {line}: a quote opens and is not closed"):
        rows(text)


@pytest.mark.parametrize("text", ["x" * (MAX_ROW + 1), '"' + "x\n" * MAX_ROW])
def test_a_row_is_bounded(text: str) -> None:
    with pytest.raises(UsageError, match="line"):
        rows(text)


TABLES = st.lists(
    st.lists(st.text('ab"\n,; @<>', max_size=6), min_size=2, max_size=4),
    max_size=6,
)


@given(TABLES, st.sampled_from([",", ";", "\t", "|"]), st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_what_csv_writes_is_read_again(table: list[list[str]], separator: str, end: str, all_quoted: bool) -> None:
    text = io.StringIO(newline="")
    style: Literal[0, 1] = csv.QUOTE_ALL if all_quoted else csv.QUOTE_MINIMAL
    csv.writer(text, delimiter=separator, lineterminator=end, quoting=style).writerows(table)
    assert table == fields(text.getvalue(), separator)
