"""Reads addresses as callers write them: each value is one valid address, or none."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from aftersend.sources.base import SourceError
from aftersend.sources.parsing.address import normalise
from aftersend.sources.parsing.mailbox import read_mailbox

#: Octets of a local part and of an address at most (RFC 5321, section 4.5.3.1).
_MAX_LOCAL: Final = 64
_MAX_ADDRESS: Final = 254
#: RFC 5322's dot-atom with the extension of RFC 6531, or a quoted string.
_LOCAL: Final = re.compile(
    r"""[A-Za-z0-9!#$%&'*+/=?^_`{|}~\u0080-\U0010ffff-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~\u0080-\U0010ffff-]+)*"""
    r'''|"(?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\[\x20-\x7e])+"'''
)
#: At least two labels of letters, digits and hyphens (RFC 1123), the last one not a number.
_DOMAIN: Final = re.compile(
    r"(?=.{1,253}\Z)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+(?!\d+\Z)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
)
#: Allowed at the beginning of a local part by RFC 5322, but there by mistake.
_MARKS: Final = frozenset("'`=*#|")
#: Nearly every address: ASCII, no quotes, and nothing around it.
_PLAIN: Final = re.compile(
    r"(?=.{1,254}\Z)(?=[^@]{1,64}@)[A-Za-z0-9_](?:[A-Za-z0-9_+-]|\.(?=[A-Za-z0-9_+-]))*+"
    r"@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,63}"
)


def read_address(text: str) -> str:
    """Return the normalised address of a text that is one mailbox, with or without a name; "" for any other text.

    What can't be read as exactly one valid address gives "", so that nobody is mailed by a guess: several addresses,
    groups, no domain, characters that are no part of addresses.

    Args:
        text: as the caller wrote it.
    """
    if _PLAIN.fullmatch(text):
        return text.lower()
    address = read_mailbox(text)
    if not address:
        return ""
    try:
        recipient = normalise(address)
    except SourceError:
        return ""
    return recipient if is_valid(recipient) and _is_unmistakable(recipient) else ""


def key_of(spelled: str) -> str:
    """Return the normalised form of any text; "" for empty text or control characters, which can't be a key."""
    try:
        return normalise(spelled)
    except SourceError:
        return ""


def is_valid(recipient: str) -> bool:
    """Return whether a normalised address is valid by its syntax."""
    local, at, domain = recipient.rpartition("@")
    return (
        bool(at)
        and len(local.encode()) <= _MAX_LOCAL
        and len(recipient.encode()) <= _MAX_ADDRESS
        and _LOCAL.fullmatch(local) is not None
        and _DOMAIN.fullmatch(domain) is not None
    )


def _is_unmistakable(recipient: str) -> bool:
    """Return whether a valid address has no character that copying adds to addresses, or puts in the place of another.

    Before an address, an apostrophe is a spreadsheet's mark for text, other signs mark formulas and lists. Beyond
    ASCII, RFC 6531 allows dashes, bullets, ligatures and wide letters too; providers accept letters and digits in their
    usual form (RFC 8265, section 3.3). A question mark is what a conversion leaves of a letter that it does not have.
    """
    local = recipient.rpartition("@")[0]
    if local[0] in _MARKS or "?" in local:
        return False
    return local.isascii() or (
        unicodedata.is_normalized("NFKC", local)
        and all(character.isascii() or unicodedata.category(character)[0] in "LMN" for character in local)
    )
