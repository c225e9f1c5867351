"""Audience files as spreadsheets and CRMs write them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from aftersend.errors import UsageError
from aftersend.services.audience.file import AudienceColumns, AudienceLine, find_columns, open_text, read_lines

FIRST_LINES = [
    ("email", AudienceColumns(",", 0, None, headings=True)),
    ("name;E-Mail;city", AudienceColumns(";", 1, None, headings=True)),
    ("id\tRecipient\tname", AudienceColumns("\t", 1, None, headings=True)),
    ("name|Email Address", AudienceColumns("|", 1, None, headings=True)),
    ("jane@example.org", AudienceColumns(",", 0, None, headings=False)),
    ("Jane,jane@example.org", AudienceColumns(",", 1, None, headings=False)),
    ('"Doe, Jane";email', AudienceColumns(";", 1, None, headings=True)),
    ("not an address", AudienceColumns(",", 0, None, headings=False)),
    ("", AudienceColumns(",", 0, None, headings=False)),
]


@pytest.mark.parametrize("first, columns", FIRST_LINES)
def test_columns_are_found(first: str, columns: AudienceColumns) -> None:
    assert columns == find_columns(f"{first}\r\n")


def test_columns_are_named() -> None:
    found = find_columns("Mail Privat,Mail Beruf,Test?", address="mail beruf", test="test?")
    assert AudienceColumns(",", 1, 2, headings=True) == found


@pytest.mark.parametrize(
    "first, options, words",
    [
        ("name,city", {}, "--address-column"),
        ("name,email", {"address": "mail"}, "no column 'mail'"),
        ("name,email", {"test": "test"}, "--test-column"),
        ("a@b.example,c", {"test": "c"}, "--address-column"),
    ],
)
def test_a_missing_column_is_an_error(first: str, options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        find_columns(first, **options)


CONTENT = "name;email;test\r\nJané;jane@example.org;\r\n\r\nJo;jo@example.org;Yes\r\nNobody\r\n"
LINES = [
    AudienceLine(2, "jane@example.org", test=False),
    AudienceLine(4, "jo@example.org", test=True),
    AudienceLine(5, "", test=False),
]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_lines_are_read_in_every_encoding(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "audience.csv"
    path.write_text(CONTENT, encoding=encoding, newline="")
    with open_text(path) as text:
        assert LINES == list(read_lines(text, find_columns("name;email;test", test="test"), str(path)))


def test_an_undetected_encoding_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "audience.csv"
    path.write_text(CONTENT, encoding="cp1252", newline="")
    columns = find_columns("name;email;test", test="test")
    with open_text(path) as text, pytest.raises(UsageError, match="--encoding"):
        list(read_lines(text, columns, str(path)))
    with open_text(path, "cp1252") as text:
        assert LINES == list(read_lines(text, columns, str(path)))


@pytest.mark.parametrize("encoding", ["", "klingon"])
def test_an_unreadable_file_is_an_error(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "audience.csv"
    if encoding:
        path.touch()
    with pytest.raises(UsageError, match="can't be read"):
        open_text(path, encoding)


def test_addresses_within_quotes() -> None:
    lines = ["email\n", '"jane@example.org"\n']
    assert [AudienceLine(2, "jane@example.org", test=False)] == list(read_lines(lines, find_columns("email"), "file"))
