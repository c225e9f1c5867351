"""Audience files as spreadsheets and CRMs write them."""

from __future__ import annotations

import io
import os
import threading
import tracemalloc
from pathlib import Path

import pytest

from aftersend.errors import UsageError
from aftersend.services.audience.file import AudienceFile, AudienceLine, open_audience
from aftersend.services.audience.layout import SAMPLE_CHARACTERS, FileOptions

CONTENT = "name;email;test\r\nJané;jane@example.org;\r\n\r\nJo; Jo <JO@example.org>;Yes\r\nNobody\r\n"
LINES = [
    AudienceLine(2, "jane@example.org", "jane@example.org", test=False),
    AudienceLine(4, " Jo <JO@example.org>", "jo@example.org", test=True),
    AudienceLine(5, "", "", test=False),
]


def opened(content: bytes | str, **options: str) -> AudienceFile:
    raw = content.encode() if isinstance(content, str) else content
    return AudienceFile(io.BytesIO(raw), "file", FileOptions(**options))


def recipients(content: bytes | str, **options: str) -> list[str]:
    return [line.recipient for line in opened(content, **options).lines()]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
def test_lines_are_read_in_every_encoding(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "audience.csv"
    path.write_text(CONTENT, encoding=encoding, newline="")
    with open_audience(path, FileOptions(test_column="test")) as file:
        assert LINES == list(file.lines())
        assert LINES == list(file.lines()), "and again"
        assert file.size == file.position


@pytest.mark.parametrize("encoding", ["", "klingon"])
def test_an_unreadable_file_is_an_error(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "audience.csv"
    if encoding:
        path.touch()
    with (
        pytest.raises(UsageError, match=r"can't be read|--encoding"),
        open_audience(path, FileOptions(encoding=encoding)),
    ):
        pass


def test_a_pipe_is_read_like_a_file(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=(CONTENT,))
    writer.start()
    with open_audience(pipe, FileOptions(test_column="test")) as file:
        assert LINES == list(file.lines())
    writer.join()


def test_an_address_in_a_code_page_that_is_a_guess_is_an_error() -> None:
    """In another code page it is the address of somebody else."""
    content = "name;email\nMüller;a@x.example\nJosé;josé@x.example\n".encode("cp1252")
    with pytest.raises(UsageError, match=r"line 3: an address has characters beyond ASCII.*--encoding"):
        opened(content).check(lambda _: None)
    assert ["a@x.example", "josé@x.example"] == recipients(content, encoding="cp1252")
    assert ["a@x.example"] == recipients("name;email\nM;Müller <a@x.example>\n".encode("cp1252"))


@pytest.mark.parametrize("declared", ["utf-8", "ascii", "cp1252"])
def test_bytes_that_are_not_in_the_declared_encoding_are_an_error(declared: str) -> None:
    with pytest.raises(UsageError, match="--encoding"):
        opened(b"a@x.example\n" * 50_000 + b"\x81\n", encoding=declared).check(lambda _: None)


def test_a_row_with_an_unquoted_separator_is_never_read_by_the_wrong_column() -> None:
    rows = "name,manager,email\nA,boss@x.example,a@x.example\nB,boss@x.example,b@x.example\n"
    assert ["a@x.example", "b@x.example", ""] == recipients(f"{rows}Doe, Jane,boss@x.example,j@x.example\n")
    assert ["a@x.example"] == recipients("name,email\nA,a@x.example,,\n"), "blank columns are none"


def test_a_separator_in_an_address_is_doubtful_unless_the_separator_is_declared() -> None:
    content = "a@x.example\n" * 600 + "x|b@x.example\n"
    assert "" == recipients(content)[-1]
    assert "x|b@x.example" == recipients(content, separator=";")[-1]


def test_blank_lines_are_skipped_and_lines_without_an_address_are_not() -> None:
    assert ["a@x.example", ""] == recipients("email;name\n\n;\n\u200b;\na@x.example;A\n;B\n  ; \n")


def test_a_file_that_begins_with_much_blank_text_is_an_error() -> None:
    with pytest.raises(UsageError, match="is the first one with text"):
        recipients("\n" * (SAMPLE_CHARACTERS + 1) + "a@x.example\n")


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "audience.csv"
    with path.open("w") as file:
        for number in range(0, 30_000, 100):
            file.write("".join(f"name {n};r{n}@example.org\n" for n in range(number, number + 100)))
    tracemalloc.start()
    try:
        with open_audience(path, FileOptions()) as audience:
            # The sample and its readings are a bounded share of it.
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            assert 30_000 == sum(1 for line in audience.lines() if line.recipient)
            assert tracemalloc.get_traced_memory()[1] - before < 500_000
    finally:
        tracemalloc.stop()
