"""Whether an address is one that mail can be sent to, by its looks alone."""

from __future__ import annotations

import re
from typing import Final

from aftersend.sources.base import SourceError
from aftersend.sources.parsing.address import normalise

#: RFC 5321, section 4.5.3.1: octets of a local part and of a whole address.
_MAX_LOCAL: Final = 64
_MAX_ADDRESS: Final = 254
#: RFC 5322's dot-atom, with what RFC 6531 adds to it, or a quoted string.
_LOCAL: Final = re.compile(
    r"""[A-Za-z0-9!#$%&'*+/=?^_`{|}~\u0080-\U0010ffff-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~\u0080-\U0010ffff-]+)*"""
    r'''|"(?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\[\x20-\x7e])*"'''
)
#: Labels of letters, digits and hyphens, two at least (RFC 1123); the last one is no number.
_DOMAIN: Final = re.compile(
    r"(?=.{1,253}\Z)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+(?!\d+\Z)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
)


def key_of(spelled: str) -> str:
    """Return what the tables call an address, "" for what can't be a key: nothing, or control characters."""
    try:
        return normalise(spelled)
    except SourceError:
        return ""


def is_valid(recipient: str) -> bool:
    """Say whether a normalised address could be one: its form, not whether anybody is there."""
    local, at, domain = recipient.rpartition("@")
    return (
        bool(at)
        and len(local.encode()) <= _MAX_LOCAL
        and len(recipient.encode()) <= _MAX_ADDRESS
        and _LOCAL.fullmatch(local) is not None
        and _DOMAIN.fullmatch(domain) is not None
    )
