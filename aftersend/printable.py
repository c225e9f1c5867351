r"""Text of strangers, made safe to show: what a receiving server, a provider or a tenant wrote stays text.

A terminal executes escape sequences, a right-to-left override shows other words than are there, what has no width hides
words, a line feed forges a line, and a spreadsheet computes a cell that begins with `=`. All of these characters are
replaced by their escapes, such as `\x1b` and `\u202e`, where text leaves the process: in the output of commands, in
log lines, CSV, JSON and metrics.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any, Final

#: Invisible characters that Unicode does not count among the controls and formats: joiners, fillers, and selectors.
_INVISIBLE: Final = frozenset(
    {0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x3164, 0xFFA0, *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)}
)
_INVISIBLE_PATTERN: Final = re.compile(f"[{''.join(map(chr, sorted(_INVISIBLE)))}]")
#: First characters of a cell that a spreadsheet takes for a formula, in the widths of East Asian ones as well.
_FORMULA: Final = ("=", "+", "-", "@", "＝", "＋", "－", "＠")  # noqa: RUF001 - these very characters
_DELETE: Final = b"\x7f"
_BYTE: Final = 0x100
_BASIC_PLANE: Final = 0x10000


def printable(text: str) -> str:
    """Return text as one line in which every character is visible: all others are escaped, line feeds included."""
    if text.isprintable() and (text.isascii() or not _INVISIBLE_PATTERN.search(text)):
        return text
    return "".join(character if _is_visible(character) else _escape(character) for character in text)


def printable_lines(text: str) -> str:
    """Return text of several lines, made printable line by line; tabs are spaces."""
    if "\n" not in text:
        return printable(text.expandtabs())
    return "\n".join(printable(line.expandtabs()) for line in text.split("\n"))


def printable_json(encoded: bytes) -> bytes:
    r"""Return JSON with the characters escaped (`\uXXXX`) that are not visible: the same value, safe to show.

    Args:
        encoded: JSON in UTF-8, of one line or several.
    """
    if encoded.isascii() and _DELETE not in encoded:
        return encoded
    text = encoded.decode("utf-8", "surrogatepass")
    return "".join(
        character if character == "\n" or _is_visible(character) else _json_escape(character) for character in text
    ).encode()


def csv_cell(value: Any) -> Any:
    """Return a value for a cell of CSV: printable, and never a formula, which gets an apostrophe before it."""
    if not isinstance(value, str):
        return value
    shown = printable(value)
    return f"'{shown}" if shown.startswith(_FORMULA) else shown


def printable_value(value: Any) -> Any:
    """Return a value whose texts are printable, at any depth of lists and objects."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, dict):
        return {printable_value(name): printable_value(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [printable_value(inner) for inner in value]
    return value


def _is_visible(character: str) -> bool:
    if ord(character) in _INVISIBLE:
        return False
    return character.isprintable() or unicodedata.category(character) == "Zs"


def _escape(character: str) -> str:
    code = ord(character)
    if code < _BYTE:
        return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(character, f"\\x{code:02x}")
    return f"\\u{code:04x}" if code < _BASIC_PLANE else f"\\U{code:08x}"


def _json_escape(character: str) -> str:
    """Return a character as JSON has it: beyond the basic plane a pair of surrogates."""
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{int.from_bytes(units[at : at + 2]):04x}" for at in range(0, len(units), 2))
