"""Mutated records: real ones, changed the way that broken, clumsy and hostile senders change them."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from typing import Any, Final

#: JSON values that went wrong in some engine once.
ODD_VALUES: Final[tuple[Any, ...]] = (
    None,
    True,
    0,
    -1,
    2**63,
    10**40,
    1e308,
    -0.0,
    5e-324,
    "",
    " ",
    "\x00",
    "\x1b[2J\x1b]8;;http://x\x07",
    "\u202egro.elpmaxe@",
    "\ud800",
    "=cmd|' /C calc'!A0",
    "a@" + "\u0301" * 3000,
    "x" * 70_000 + "@example.org",
    "a@b." * 2000,
    '"' * 999,
    "(" * 2000 + "a@example.org",
    "a@example.org, b@example.org;" * 500,
    "Ana <a@example.org>",
    "<" * 1000,
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:60-14:00",
    "2026-02-30T25:61:61Z",
    "550 5.1.1 " + "\r\n " * 1000,
    "5." * 3000,
    "http://" + "%" * 3000,
    "http://example.org/?" + "&" * 3000,
    [],
    {},
    [[]],
    ["a@example.org"] * 3000,
    {"a": {"b": [None, {}]}},
)
_BYTES: Final = (
    b"\x00",
    b"\xff",
    b'"',
    b"{",
    b"[",
    b"\\",
    b"\n",
    b"\xef\xbb\xbf",
    b"\xed\xa0\x80",
    b"1e999",
    b"\\ud800",
)
_MOST_BYTES: Final = 1_000_000


class Mutator:
    """Changes records.

    Args:
        seed: the same seed gives the same changes.
        records: the real records.
    """

    def __init__(self, seed: str, records: list[bytes]) -> None:
        self._rng = random.Random(seed)
        self._records = records
        self._documents: list[Any] = []
        for record in records:
            try:
                self._documents.append(json.loads(record))
            except ValueError:
                continue

    def records(self, number: int) -> Iterator[bytes]:
        """Yield mutated records, at most a megabyte each."""
        for _ in range(number):
            if self._documents and self._rng.random() < 0.7:
                record = self._structured()
            else:
                record = self._rng.choice(self._records)
            if self._rng.random() < 0.4:
                record = self._bytes(record)
            yield record[:_MOST_BYTES]

    def _structured(self) -> bytes:
        """Return a record with other values in some places."""
        document = copy.deepcopy(self._rng.choice(self._documents))
        for _ in range(self._rng.choice((1, 1, 1, 2, 3, 8))):
            document = self._change(document)
        if self._rng.random() < 0.05:
            document = [document] * self._rng.choice((2, 50))
        return json.dumps(document, ensure_ascii=self._rng.random() < 0.8).encode("utf-8", "surrogatepass")

    def _change(self, document: Any) -> Any:
        """Change one place of a document, any of them with the same probability; return the document."""
        places = list(places_of(document))
        if not places:
            return self._odd()
        owner, key = self._rng.choice(places)
        action = self._rng.random()
        if action < 0.15:
            del owner[key]
        elif action < 0.3:
            other_owner, other_key = self._rng.choice(places)
            owner[key] = copy.deepcopy(other_owner[other_key])
        elif action < 0.4 and isinstance(owner[key], str):
            owner[key] = self._text(owner[key])
        elif action < 0.45 and isinstance(owner, dict):
            owner[f"{key}{self._rng.choice(('', ' ', 'x', chr(0)))}"] = self._odd()
        else:
            owner[key] = self._odd()
        return document

    def _odd(self) -> Any:
        return copy.deepcopy(self._rng.choice(ODD_VALUES))

    def _text(self, text: str) -> str:
        at = self._rng.randrange(len(text) + 1)
        return text[:at] + self._rng.choice(("\x00", "\u0301" * 99, "<", "@", "\u202e", "\ufeff", ",", '"')) + text[at:]

    def _bytes(self, record: bytes) -> bytes:
        """Return a record with some bytes changed."""
        rng = self._rng
        changed = bytearray(record)
        for _ in range(rng.choice((1, 1, 2, 9))):
            at = rng.randrange(len(changed) + 1)
            action = rng.randrange(5)
            if action == 0:
                del changed[at : at + rng.choice((1, 2, 9, 99))]
            elif action == 1:
                changed[at:at] = rng.choice(_BYTES) * rng.choice((1, 1, 3, 5000))
            elif action == 2 and at < len(changed):
                changed[at] ^= 1 << rng.randrange(8)
            elif action == 3:
                changed[at:at] = changed[at : at + rng.choice((2, 50, 500))]
            else:
                del changed[at + rng.randrange(200) :]
        return bytes(changed)


def places_of(document: Any) -> Iterator[tuple[Any, Any]]:
    """Yield all places in a document: an object and a key, or an array and an index."""
    waiting = [document]
    while waiting:
        owner = waiting.pop()
        keys = owner if isinstance(owner, dict) else range(len(owner)) if isinstance(owner, list) else ()
        for key in keys:
            yield owner, key
            waiting.append(owner[key])
