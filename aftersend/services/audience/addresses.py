"""Validation of addresses by their syntax."""

from __future__ import annotations

import re
from typing import Final

from aftersend.sources.base import SourceError
from aftersend.sources.parsing.address import normalise

#: Octets of a local part and of an address at most (RFC 5321, section 4.5.3.1).
_MAX_LOCAL: Final = 64
_MAX_ADDRESS: Final = 254
#: RFC 5322's dot-atom with the extension of RFC 6531, or a quoted string.
_LOCAL: Final = re.compile(
    r"""[A-Za-z0-9!#$%&'*+/=?^_`{|}~\u0080-\U0010ffff-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~\u0080-\U0010ffff-]+)*"""
    r'''|"(?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\[\x20-\x7e])*"'''
)
#: At least two labels of letters, digits and hyphens (RFC 1123), the last one not a number.
_DOMAIN: Final = re.compile(
    r"(?=.{1,253}\Z)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+(?!\d+\Z)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
)


def key_of(spelled: str) -> str:
    """Return the normalised form of an address; "" for empty text or control characters, which can't be a key."""
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
