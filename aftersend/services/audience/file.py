"""Reads files with addresses line by line: the one reader for all commands that take addresses from a file.

Encoding, separator, headings and the column with the addresses are detected from the beginning of the file; what is
uncertain is an error that names the option that helps. Memory does not grow with the file.
"""

from __future__ import annotations

import io
import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, Final, NamedTuple, cast

from aftersend.errors import UsageError
from aftersend.services.audience.addresses import read_address
from aftersend.services.audience.columns import is_longer
from aftersend.services.audience.encoding import Encoding, detect_encoding
from aftersend.services.audience.layout import (
    SAMPLE_CHARACTERS,
    FileOptions,
    Layout,
    detect_layout,
    is_blank,
)
from aftersend.services.audience.rows import FileRow, read_rows
from aftersend.services.progress import SetProgress
from aftersend.sources.parsing.mailbox import read_mailbox
from aftersend.sources.parsing.metadata import is_true

#: Bytes of standard input that are kept in memory; more goes to a temporary file.
_IN_MEMORY: Final = 1 << 20
#: Lines between two steps of a progress display.
_LINES_A_STEP: Final = 1000
#: The path of standard input.
STANDARD_INPUT: Final = "-"
#: Values of the test column that mean yes, besides those of `is_true`.
_YES: Final = frozenset({"yes", "y", "x", "ja", "si", "sí", "oui", "да"})


class AudienceLine(NamedTuple):
    """One line of an audience."""

    #: Line number in the file, from 1.
    number: int
    #: Value of the column with the addresses, as in the file; "" if there is none.
    spelled: str
    #: The normalised address; "": the value is not exactly one address.
    recipient: str
    #: The line marks a test address.
    test: bool = False


class AudienceFile:
    """A file with addresses, its layout detected.

    Args:
        file: at its beginning; has to allow seeking.
        name: of the file, for error messages.
        options: what the caller says about it.

    Raises:
        UsageError: if encoding or layout is uncertain.
    """

    def __init__(self, file: BinaryIO, name: str, options: FileOptions) -> None:
        self.name = name
        self._file = file
        self.size = file.seek(0, io.SEEK_END)
        file.seek(0)
        self.encoding: Encoding = detect_encoding(file, name, options.encoding)
        with self._text() as text:
            try:
                sample = text.read(SAMPLE_CHARACTERS)
            except UnicodeError as error:
                raise UsageError(f"{name}: {error}; set --encoding to that of the file, such as cp1252") from error
        self.layout: Layout = detect_layout(sample, name, options)

    @property
    def position(self) -> int:
        """Bytes read so far."""
        return self._file.tell()

    def lines(self) -> Iterator[AudienceLine]:
        """Yield the lines of the file from its beginning, without headings and blank lines.

        Raises:
            UsageError: if the rest of the file is not like its beginning.
        """
        layout = self.layout
        skipped = layout.separator_line + layout.columns.headings
        with self._text() as text:
            for row in read_rows(text, layout.separator, self.name):
                if is_blank(row.fields):
                    continue
                if skipped:
                    skipped -= 1
                    continue
                if layout.empty:
                    raise UsageError(f"{self.name}: line {row.line} is the first one with text: remove what is before")
                yield self._line(row)

    def check(self, set_progress: SetProgress) -> None:
        """Read the file to its end.

        Args:
            set_progress: called with the bytes read so far.

        Raises:
            UsageError: if `lines` would raise one.
        """
        for number, _ in enumerate(self.lines()):
            if not number % _LINES_A_STEP:
                set_progress(self.position)

    def _line(self, row: FileRow) -> AudienceLine:
        fields, columns = row.fields, self.layout.columns
        spelled = fields[columns.address] if columns.address < len(fields) else ""
        recipient = read_address(spelled)
        if recipient and self._is_doubtful(row, recipient):
            recipient = ""
        if self.encoding.guessed and not spelled.isascii() and not read_mailbox(spelled).isascii():
            raise UsageError(
                f"{self.name}: line {row.line}: an address has characters beyond ASCII, and the encoding is a guess "
                f"({self.encoding.name}): set --encoding to that of the file"
            )
        mark = columns.test
        test = mark is not None and mark < len(fields) and _is_yes(fields[mark])
        return AudienceLine(row.line, spelled, recipient, test)

    def _is_doubtful(self, row: FileRow, recipient: str) -> bool:
        """Return whether the separator may divide a row wrongly, so that the address is that of another column."""
        layout = self.layout
        if layout.detected and "|" in recipient:
            return True
        return layout.columns.address > 0 and is_longer(row.fields, layout.columns.width)

    @contextmanager
    def _text(self) -> Iterator[io.TextIOWrapper]:
        """Open the file's text at its beginning; the file stays open."""
        self._file.seek(0)
        text = io.TextIOWrapper(self._file, encoding=self.encoding.name, newline="")
        try:
            yield text
        finally:
            text.detach()


def _is_yes(value: str) -> bool:
    return is_true(value) or value.strip().casefold() in _YES


@contextmanager
def open_audience(path: str | Path, options: FileOptions) -> Iterator[AudienceFile]:
    """Open a file with addresses; close it at the end.

    Args:
        path: of the file; "-": standard input. What can't be read twice is copied to a temporary file.
        options: what the caller says about it.

    Raises:
        UsageError: if the file is unreadable, or its encoding or layout uncertain.
    """
    with ExitStack() as stack:
        if path == STANDARD_INPUT:
            yield AudienceFile(stack.enter_context(_copied(sys.stdin.buffer)), "standard input", options)
            return
        try:
            opened = stack.enter_context(Path(path).open("rb"))
            file = opened if opened.seekable() else stack.enter_context(_copied(opened))
        except (OSError, ValueError) as error:
            raise UsageError(f"{path} can't be read: {error}") from error
        yield AudienceFile(file, str(path), options)


@contextmanager
def _copied(stream: BinaryIO) -> Iterator[BinaryIO]:
    with SpooledTemporaryFile(max_size=_IN_MEMORY) as copy:
        shutil.copyfileobj(stream, copy)
        copy.seek(0)
        yield cast("BinaryIO", copy)
