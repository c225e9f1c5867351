"""Reads text as exactly one mailbox of RFC 5322, section 3.4: an address with or without a display name.

For addresses that people and their programs write into files. Text with several addresses, a group, or none is none:
whoever asks about one person gets no answer about another.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple
from urllib.parse import unquote

from aftersend.sources.parsing.address import canonical_local, without_invisible

#: Longer than an address with any name beside it. Longer text is not read, so the work below is bounded.
MAX_MAILBOX: Final = 1024
#: Blanks, quoted strings, atoms (with the extension of RFC 6531), and everything else one by one.
_TOKEN: Final = re.compile(
    r"""(?P<blank>\s+)|(?P<quoted>"(?:[^"\\]|\\.)*")|(?P<atom>[A-Za-z0-9!#$%&'*+/=?^_`{|}~\u0080-\U0010ffff-]+)"""
    r"|(?P<special>.)",
    re.DOTALL,
)
#: The scheme of a link (RFC 6068) at the beginning or within angle brackets, the address, and the link's parameters.
_MAILTO: Final = re.compile(r"(^|<)\s*mailto:([^?<>]*)(?:\?[^<>]*)?", re.IGNORECASE)
#: Quotation marks that may stand around an address, and those that close them.
_QUOTES: Final = {"'": "'", "`": "`", "‘": "’", "“": "”", "„": "“", "«": "»", "‹": "›"}  # noqa: RUF001 - these marks
#: What a list leaves behind an address.
_PUNCTUATION: Final = frozenset(",;:.")
#: What can't stand in a display name, not even in a sloppy one: it would be a group, or another address.
_NOT_IN_NAMES: Final = frozenset("@<>:;()\\")


class _Token(NamedTuple):
    kind: str
    text: str


def read_mailbox(text: str) -> str:
    """Return the address of a text that is exactly one mailbox, without name and comments; "" for any other text.

    Invisible characters, a final comma or semicolon, quotation marks around the address, and `mailto:` are no part of
    it. A quoted local part that needs no quotes is returned without them. Commas in a display name are accepted without
    quotes, as in `Doe, Jane <jane@example.org>`.

    Args:
        text: as written.
    """
    if len(text) > MAX_MAILBOX:
        return ""
    text = _MAILTO.sub(lambda match: f"{match[1]}{unquote(match[2])}", without_invisible(text).strip())
    text = _unquoted(text.rstrip("".join(_PUNCTUATION)).strip())
    tokens = _tokens(_without_comments(text))
    while tokens and tokens[-1].text in _PUNCTUATION:
        tokens.pop()
    if len(tokens) == 1 and tokens[0].kind == "quoted":
        tokens = _tokens(tokens[0].text[1:-1])
    opens = [index for index, token in enumerate(tokens) if token.text == "<"]
    if not opens:
        return _address(tokens)
    if len(opens) > 1 or tokens[-1].text != ">":
        return ""
    address = _address(tokens[opens[0] + 1 : -1])
    return address if _is_name(tokens[: opens[0]], address) else ""


def _unquoted(text: str) -> str:
    """Return a text without the quotation marks around it."""
    close = _QUOTES.get(text[:1])
    return text[1:-1] if close and len(text) > 1 and text[-1] == close else text


def _without_comments(text: str) -> str:
    """Return a text with a blank for each comment; one that is not closed stays, and makes the text unreadable."""
    if "(" not in text:
        return text
    kept: list[str] = []
    depth = begin = at = 0
    quoted = False
    while at < len(text):
        character = text[at]
        if character == "\\":
            at += 2
            continue
        if character == '"' and not depth:
            quoted = not quoted
        elif character == "(" and not quoted:
            if not depth:
                kept.append(text[begin:at])
                begin = at
            depth += 1
        elif character == ")" and depth:
            depth -= 1
            if not depth:
                kept.append(" ")
                begin = at + 1
        at += 1
    return "".join(kept) + text[begin:]


def _tokens(text: str) -> list[_Token]:
    return [_Token(str(match.lastgroup), match[0]) for match in _TOKEN.finditer(text) if match.lastgroup != "blank"]


def _address(tokens: list[_Token]) -> str:
    """Return the address of tokens that are one local part, an at sign and one domain; "" otherwise."""
    at = next((index for index, token in enumerate(tokens) if token.text == "@"), len(tokens))
    local, domain = tokens[:at], tokens[at + 1 :]
    quoted = len(local) == 1 and local[0].kind == "quoted"
    name = canonical_local(local[0].text) if quoted else _dot_atom(local)
    host = _dot_atom(domain)
    return f"{name}@{host}" if name and host else ""


def _dot_atom(tokens: list[_Token]) -> str:
    """Return atoms with dots between them; "" for anything else. Blanks around dots are obsolete, but allowed."""
    atoms, dots = tokens[::2], tokens[1::2]
    if not len(tokens) % 2 or any(token.kind != "atom" for token in atoms) or any(token.text != "." for token in dots):
        return ""
    return "".join(token.text for token in tokens)


def _is_name(tokens: list[_Token], address: str) -> bool:
    """Return whether tokens are a display name; the same address again is one, though it has no quotes."""
    if any(token.text == "@" for token in tokens):
        return address != "" and _address(tokens).lower() == address.lower()
    return not any(token.text in _NOT_IN_NAMES or token.text == '"' for token in tokens)
