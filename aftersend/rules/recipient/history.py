"""A row's memory of its last events: duplicate filter and explanation in one, 32 bytes an event.

Packed, oldest first, an entry is 16 bytes that stand for the event's id and two little-endian 64-bit words:

    arrival in ms << 16 | kind << 10 | decision << 6 | repeats
    offset << 20 | source << 14 | partition

`source` and `partition`, `offset` say where the raw record lies; source 0 is the events topic itself. `repeats` counts
how often the same event came again and stays at 63.
"""

from __future__ import annotations

from binascii import unhexlify
from hashlib import blake2b
from struct import Struct
from typing import Final, NamedTuple

ID_BYTES: Final = 16
ENTRY_BYTES: Final = 32
#: Semantics ask for at least 32 events; an expiry takes a place too.
MAX_ENTRIES: Final = 33
MAX_BYTES: Final = ENTRY_BYTES * MAX_ENTRIES
MAX_REPEATS: Final = 63
MAX_PARTITION: Final = (1 << 14) - 1
MAX_SOURCE: Final = 63
#: What an expiry has in the place of an id.
NO_ID: Final = bytes(ID_BYTES)

_entry: Final = Struct("<16sQQ")
#: Packs an entry: the id's 16 bytes and the two words.
pack_entry: Final = _entry.pack
_word: Final = Struct("<Q")
_HEX_ID_LENGTH: Final = 2 * ID_BYTES


class HistoryEntry(NamedTuple):
    """One remembered event."""

    digest: bytes
    #: Seconds since 1970.
    received_at: float
    kind: int
    decision: int
    repeats: int
    source: int
    partition: int
    offset: int


def digest_of(event_id: str) -> bytes:
    """Return the 16 bytes by which a row remembers an event id; the same in every process and version.

    Ids of 32 hex digits are taken as they are, all others are hashed (BLAKE2b).
    """
    if len(event_id) == _HEX_ID_LENGTH:
        try:
            return unhexlify(event_id)
        except ValueError:
            pass
    return blake2b(event_id.encode("utf-8", "surrogatepass"), digest_size=ID_BYTES).digest()


def pack_raw_position(source: int, partition: int, offset: int) -> int:
    """Return the word that says where a raw record lies."""
    return offset << 20 | source << 14 | partition


def find_entry(history: bytes, digest: bytes) -> int:
    """Return the position of an event in a packed history, -1 if it is not remembered."""
    at = history.find(digest)
    while at > 0 and at % ENTRY_BYTES:
        at = history.find(digest, at + 1)
    return at


def with_repeat(history: bytes, at: int) -> bytes:
    """Return the history with one more repeat of the entry at a position."""
    middle = at + ID_BYTES
    (word,) = _word.unpack_from(history, middle)
    if word & MAX_REPEATS == MAX_REPEATS:
        return history
    return history[:middle] + _word.pack(word + 1) + history[middle + 8 :]


def unpack_history(history: bytes) -> list[HistoryEntry]:
    """Return a packed history as entries, oldest first.

    Raises:
        struct.error: if the length is no multiple of `ENTRY_BYTES`.
    """
    return [
        HistoryEntry(
            digest=digest,
            received_at=(word >> 16) / 1000,
            kind=word >> 10 & 63,
            decision=word >> 6 & 15,
            repeats=word & MAX_REPEATS,
            source=place >> 14 & MAX_SOURCE,
            partition=place & MAX_PARTITION,
            offset=place >> 20,
        )
        for digest, word, place in _entry.iter_unpack(history)
    ]
