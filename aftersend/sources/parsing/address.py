"""Addresses in one spelling: whatever a source writes, one person has one key (`docs/domain.md §1.4`)."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Final

import idna

from aftersend.sources.base import SourceError

#: Longer than any address that SMTP can carry (320 octets), and short enough for a key.
MAX_LENGTH: Final = 512

_DELETE: Final = 0x7F
#: Combining marks in a row that are no writing any more, and that make normalising slow: its time grows with the square
#: of their number. Unicode's own stream-safe text format (UAX 15, section 13) allows 30.
_MAX_MARKS: Final = 30
_FIRST_PRINTABLE: Final = 0x20
#: Characters without a shape (Unicode's Default_Ignorable_Code_Point): soft hyphens, zero widths, byte order marks and
#: the like. They come from copying an address out of a page, and nobody sees them.
_INVISIBLE: Final = re.compile(
    r"[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    r"\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
#: Local parts that need no quotes: atoms of RFC 5322 with the extension of RFC 6531, and dots between them.
_DOT_ATOM: Final = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\u0080-\U0010ffff-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~\u0080-\U0010ffff-]+)*"
)
_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\.)*)"')
_ESCAPED: Final = re.compile(r"\\(.)")
_TO_ESCAPE: Final = re.compile(r'(["\\])')


def normalise(address: str) -> str:
    """Return an address in lower case, its domain in A-labels, and nothing but the address.

    What stands around it goes: blanks, angle brackets and a name before them, a final dot. So do invisible characters,
    and quotes around a local part that needs none. An address without a domain, which asynchronous bounces of odd
    gateways have, is kept as one word.

    Args:
        address: as the source spelled it.

    Raises:
        SourceError: if it has a control character (the tables' keys are divided by one) or is no length for an
            address.
    """
    # Nearly every address is plain ASCII and needs lower-casing at most.
    if (
        address.isascii()
        and address.isprintable()
        and address[-1:].isalnum()
        and address[:1].isalnum()
        and len(address) <= MAX_LENGTH
    ):
        return address.lower()
    return _normalise_any(address)


def _normalise_any(address: str) -> str:
    # Lengths first: whatever a stranger sends, the work below is bounded.
    bare = address.strip()
    if len(bare) > MAX_LENGTH:
        raise SourceError(f"recipient is {len(bare)} characters long, more than {MAX_LENGTH}")
    bare = without_invisible(bare)
    if _longest_run_of_marks(bare) > _MAX_MARKS:
        raise SourceError(f"recipient has more than {_MAX_MARKS} combining marks in a row")
    bare = _bare(unicodedata.normalize("NFC", bare))
    position = control_character(bare)
    if position >= 0:
        raise SourceError(f"recipient has the control character {ord(bare[position])} at position {position}")
    local, at, domain = bare.rpartition("@")
    if at and local[:1] == '"':
        local = canonical_local(local) or local
    if not domain.isascii():
        domain = _to_ascii(domain)
    normal = _bare(unicodedata.normalize("NFC", f"{local}{at}{domain}".lower()))
    if len(normal) > MAX_LENGTH:
        raise SourceError(f"recipient is {len(normal)} characters long, more than {MAX_LENGTH}")
    return normal


def mailbox(text: str) -> str:
    """Return the address of `Display Name <address>`; anything else as it is."""
    if text[-1:] != ">":
        return text
    return text[text.rfind("<") + 1 : -1]


def without_invisible(text: str) -> str:
    """Return a text without characters that have no shape."""
    return text if text.isascii() else _INVISIBLE.sub("", text)


def canonical_local(quoted: str) -> str:
    """Return the shortest form of a quoted local part: without quotes where it needs none; "" if it is none."""
    match = _QUOTED.fullmatch(quoted)
    if match is None:
        return ""
    content = _ESCAPED.sub(r"\1", match[1])
    if _DOT_ATOM.fullmatch(content):
        return content
    escaped = _TO_ESCAPE.sub(r"\\\1", content)
    return f'"{escaped}"'


def control_character(text: str) -> int:
    """Return the position of the first ASCII control character, -1 if there is none."""
    return next((i for i, c in enumerate(text) if c < " " or ord(c) == _DELETE), -1)


def _longest_run_of_marks(text: str) -> int:
    """Return how many combining marks follow each other at most."""
    longest = run = 0
    for character in text:
        run = run + 1 if unicodedata.combining(character) else 0
        longest = max(longest, run)
    return longest


def _bare(text: str) -> str:
    """Return a text without what may stand around an address: blanks, brackets, a name before, a final dot."""
    before = None
    while before != text:
        before = text
        text = text.strip().rstrip(".")
        if text[-1:] == ">" and "<" in text:
            text = text[1 if text[0] == "<" else text.rfind("<") + 1 : -1]
    return text


@lru_cache(maxsize=4096)
def _to_ascii(domain: str) -> str:
    """Return a domain's A-labels; a domain that IDNA does not allow is kept as it is."""
    try:
        return idna.encode(domain, uts46=True).decode("ascii")
    except idna.IDNAError:
        return domain
