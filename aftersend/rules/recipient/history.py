"""A row's memory of its last events, packed: duplicate filter and explanation in one, 32 bytes an event.

Oldest first, an entry is 16 bytes that stand for the event's id and two little-endian 64-bit words: the history word
and the raw position (`aftersend.schemas.packing`).
"""

from __future__ import annotations

from binascii import unhexlify
from hashlib import blake2b
from struct import Struct
from typing import Final, NamedTuple

from aftersend.schemas.packing import MAX_REPEATS, unpack_history_word, unpack_raw_position

ID_BYTES: Final = 16
ENTRY_BYTES: Final = 32
#: A row remembers at least 32 events (`docs/domain.md §2.5`); an expiry takes one more entry.
MAX_ENTRIES: Final = 33
MAX_BYTES: Final = ENTRY_BYTES * MAX_ENTRIES
#: What an expiry has in place of an id.
NO_ID: Final = bytes(ID_BYTES)

_entry: Final = Struct("<16sQQ")
#: Packs an entry: the id's 16 bytes, the history word and the raw position.
pack_entry: Final = _entry.pack
#: Unpacks the entry at a byte offset of a history.
unpack_entry: Final = _entry.unpack_from
#: Iterates over the entries of a packed history, as id bytes, history word and raw position.
iter_entries: Final = _entry.iter_unpack
_word: Final = Struct("<Q")
_HEX_ID_LENGTH: Final = 2 * ID_BYTES
_ID_LENGTHS: Final = {ID_BYTES}


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

    An id of 32 hex digits is decoded, any other id is hashed (BLAKE2b).
    """
    if len(event_id) == _HEX_ID_LENGTH:
        try:
            return unhexlify(event_id)
        except ValueError:
            pass
    return blake2b(event_id.encode("utf-8", "surrogatepass"), digest_size=ID_BYTES).digest()


def digests_of(event_ids: list[str]) -> list[bytes]:
    """Return `digest_of` of each event id; quicker than a call for each where all are of 32 hex digits."""
    try:
        digests = [unhexlify(event_id) for event_id in event_ids]
    except ValueError:
        return [digest_of(event_id) for event_id in event_ids]
    if set(map(len, digests)) <= _ID_LENGTHS:
        return digests
    return [digest_of(event_id) for event_id in event_ids]


def find_entry(history: bytes, digest: bytes) -> int:
    """Return the byte offset of an event's entry in a packed history, -1 if there is none."""
    at = history.find(digest)
    while at > 0 and at % ENTRY_BYTES:
        at = history.find(digest, at + 1)
    return at


def with_repeat(history: bytes, at: int) -> bytes:
    """Return the history with one more repeat of the entry at a byte offset."""
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
    result = []
    for digest, packed_word, packed_position in _entry.iter_unpack(history):
        word = unpack_history_word(packed_word)
        position = unpack_raw_position(packed_position)
        result.append(HistoryEntry(digest, word.received_ms / 1000, word.kind, word.decision, word.repeats, *position))
    return result
