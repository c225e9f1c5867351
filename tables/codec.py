"""Rows, contacts and KPIs as bytes: compact for the stores, JSON for the changelogs, and back.

A changelog record *is* the public message. What only Aftersend needs travels in one header of the same record, so
consumers need not see it: a row as the stores hold it, its last events with it, and a delivery's histograms. Restoring
takes these as they are, which is a good third quicker than reading a row from its public JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from struct import Struct
from typing import Any, Final

import msgspec
from msgspec.structs import astuple, fields

from aftersend.rules.kpi.indicators import events_by_name, kpis, statuses
from aftersend.rules.recipient.fold import MESSAGE_TYPE_NUMBER
from aftersend.rules.recipient.history import ENTRY_BYTES, MAX_PARTITION, MAX_SOURCE, NO_ID
from aftersend.rules.recipient.lifecycle import (
    EXPIRED,
    KIND_NAME,
    STATUS_NAME,
    STATUS_TERMINAL,
    Decision,
    names_of_facts,
)
from aftersend.schemas.contact import Contact, ContactError, Notice, Release, Unsubscription
from aftersend.schemas.delivery import DeliveryTerms
from aftersend.schemas.kpi import Clock, DeliveryKpis, KpiPartial
from aftersend.schemas.recipient import Cause, PublicFailure, RecipientState, Row
from aftersend.schemas.topics import Topics
from aftersend.schemas.version import SCHEMA_VERSION

#: The record header with what only Aftersend needs.
HEADER: Final = "aftersend"
SEPARATOR: Final = "\t"
CLOCK_KEY: Final = b"@clock"
#: And a delivery's id: the key of what was declared of it. No key of KPIs is like it, since those have a separator.
TERMS_KEY_PREFIX: Final = b"@delivery:"
#: Where a row's status stands in its encoding: behind the three bytes that open a msgpack array of 16 to 65,535.
STATUS_AT: Final = 3

encode_row: Final = msgspec.msgpack.Encoder().encode
decode_row: Final = msgspec.msgpack.Decoder(Row).decode
encode_json: Final = msgspec.json.Encoder().encode
#: Of the contacts topic.
decode_contact: Final = msgspec.json.Decoder(Contact).decode
decode_state: Final = msgspec.json.Decoder(RecipientState).decode
_decode_fields: Final = msgspec.msgpack.Decoder(list[Any]).decode
_decode_partial: Final = msgspec.msgpack.Decoder(KpiPartial).decode
_decode_clock: Final = msgspec.json.Decoder(Clock).decode
decode_terms: Final = msgspec.json.Decoder(DeliveryTerms).decode
_last_entry: Final = Struct("<16sQQ").unpack_from
_MESSAGE_TYPES: Final = tuple(MESSAGE_TYPE_NUMBER)

_SHARED: Final = slice(6, 20)
if Row.__struct_fields__[_SHARED] != RecipientState.__struct_fields__[9:23]:  # pragma: no cover
    raise AssertionError("the shared fields of Row and RecipientState must stand in the same order")
if encode_row(Row())[: STATUS_AT + 1] != b"\xdc\x00" + bytes([len(Row.__struct_fields__), 0]):  # pragma: no cover
    raise AssertionError(
        "Row must have 16 or more fields, the status first: sweeps look at it without decoding the row"
    )


_NOTICES: Final = Contact.__struct_fields__.index("notices")
#: Where the parts of a contact stand that it need not have, and what they are.
_PARTS_OF_CONTACT: Final[tuple[tuple[int, Callable[..., msgspec.Struct]], ...]] = tuple(
    (Contact.__struct_fields__.index(name), part)
    for name, part in (("error", ContactError), ("release", Release), ("unsubscription", Unsubscription))
)
#: Where the times stand that have a default, and that very object: only that one is left out of the public JSON.
_DEFAULT_TIMES: Final[tuple[tuple[int, float], ...]] = tuple(
    (Contact.__struct_fields__.index(field.name), field.default)
    for field in fields(Contact)
    if isinstance(field.default, float)
)


#: What opens a row: a msgpack array of 16 to 65,535 fields, of which there are fewer than 256; their number follows.
_ROW: Final = b"\xdc\x00"
_FIELDS: Final = len(Row.__struct_fields__)


class Codec:
    """Encodes and decodes with the names of one installation.

    Args:
        topics: names of the topics.
        numbers: of the sources, by name.
    """

    def __init__(self, topics: Topics, numbers: Mapping[str, int]) -> None:
        self.topics = topics
        self.source_names = {number: name for name, number in numbers.items()} | {0: ""}
        self._source_name = [self.source_names.get(i, "") for i in range(MAX_SOURCE + 1)]
        self._topic = [topics.events, *(topics.raw(name or "unknown") for name in self._source_name[1:])]
        self._facts: dict[int, msgspec.Raw] = {}

    def state(self, delivery_id: str, recipient: str, row: Row) -> bytes:
        """Return a row as the JSON of the status topic."""
        values = astuple(row)
        status, facts, previous, version, source, message_type = values[:6]
        failure, address, cause, history = values[20:]
        digest, word, place = _last_entry(history, len(history) - ENTRY_BYTES)
        if word >> 6 & 15 == Decision.LATE:
            digest, word, place = _last_that_counted(history)
        kind = word >> 10 & 63
        if kind == EXPIRED:
            made_by = Cause(cause, KIND_NAME[kind])
        else:
            made_by = Cause(
                cause or digest.hex(),
                KIND_NAME[kind],
                self._topic[place >> 14 & MAX_SOURCE],
                place & MAX_PARTITION,
                place >> 20,
            )
        return encode_json(
            RecipientState(  # type: ignore[call-arg]  # the fields that both share, see `_SHARED`
                SCHEMA_VERSION,
                delivery_id,
                recipient,
                STATUS_NAME[status],
                self._facts.get(facts) or self._names(facts),
                STATUS_NAME[previous] if previous else "",
                version,
                self._source_name[source],
                _MESSAGE_TYPES[message_type],
                *values[6:20],
                failure and PublicFailure(*astuple(failure)),
                address,
                made_by,
                STATUS_TERMINAL[status],
            )
        )

    def _names(self, facts: int) -> msgspec.Raw:
        raw = self._facts[facts] = msgspec.Raw(encode_json(names_of_facts(facts)))
        return raw

    def kpis(self, delivery_id: str, partition: int, partial: KpiPartial) -> tuple[bytes, bytes]:
        """Return a delivery's KPIs as the JSON of the KPI topic, and the header that goes with it."""
        value = encode_json(
            DeliveryKpis(
                SCHEMA_VERSION,
                delivery_id,
                partition,
                partial.version,
                partial.started_at,
                partial.updated_at,
                kpis(partial.cells, partial.events),
                statuses(partial.cells),
                events_by_name(partial.events, self.source_names),
                partial.archived,
            )
        )
        return value, encode_row(partial)


def _last_that_counted(history: bytes) -> tuple[bytes, int, int]:
    """Return the last entry of a history that is not of a late event: the one that made the row's version."""
    at = len(history) - ENTRY_BYTES
    while at >= 0:
        digest, word, place = _last_entry(history, at)
        if word >> 6 & 15 != Decision.LATE:
            return digest, word, place
        at -= ENTRY_BYTES
    return NO_ID, EXPIRED << 10, 0


def pack_contact(contact: Contact) -> bytes:
    """Return a contact as the stores hold it: the fields of all that is in it, in order, without their names."""
    values = list(astuple(contact))
    values[_NOTICES] = [astuple(notice) for notice in contact.notices]
    for at, _ in _PARTS_OF_CONTACT:
        if values[at] is not None:
            values[at] = astuple(values[at])
    for at, default in _DEFAULT_TIMES:
        if values[at] == default:
            values[at] = None
    return encode_row(values)


def unpack_contact(stored: bytes) -> Contact:
    """Return a contact from the stores."""
    values = _decode_fields(stored)
    values[_NOTICES] = [Notice(*notice) for notice in values[_NOTICES]]
    for at, part in _PARTS_OF_CONTACT:
        if values[at] is not None:
            values[at] = part(*values[at])
    for at, default in _DEFAULT_TIMES:
        if values[at] is None:
            values[at] = default
    return Contact(*values)


def decode_partial(header: bytes) -> KpiPartial:
    """Return the KPIs of a record of the KPI topic, from its header."""
    return _decode_partial(header)


def encode_clock(partition: int, tick: float) -> bytes:
    """Return the KPI topic's clock record."""
    return encode_json(Clock(SCHEMA_VERSION, partition, tick))


def decode_clock(value: bytes) -> float:
    """Return the tick of the KPI topic's clock record."""
    return _decode_clock(value).tick


def terms_key(delivery_id: str) -> bytes:
    """Return the key of a delivery's terms on the KPI topic."""
    return TERMS_KEY_PREFIX + delivery_id.encode()


def is_kpi_key(key: bytes | None) -> bool:
    """Say whether a record of the KPI topic with this key holds KPIs; others are a partition's own notes."""
    return key is not None and b"\t" in key


def row_key(delivery_id: str, recipient: str) -> bytes:
    """Return a row's key on the status topic."""
    return f"{delivery_id}{SEPARATOR}{recipient}".encode()


def row_from_headers(headers: list[tuple[str, bytes | None]]) -> bytes:
    """Return a row as the stores hold it, from the headers of its record on the status topic.

    Raises:
        ValueError: if they hold none, or that of a later version, of which this one would forget something.
    """
    packed = internal_header(headers)
    if packed[:2] != _ROW or packed[2] > _FIELDS or packed[STATUS_AT] >= len(STATUS_NAME):
        raise ValueError(f"the header {HEADER!r} holds no row that this version knows")
    return packed


def split_row_key(key: bytes, value: bytes) -> tuple[str, str]:
    """Return delivery and recipient of a row on the status topic.

    Raises:
        msgspec.ValidationError: if the key does not tell, and the value is none of ours.
    """
    delivery_id, _, recipient = key.decode().rpartition(SEPARATOR)
    if SEPARATOR in delivery_id:  # or is it in the recipient?
        state = decode_state(value)
        return state.delivery_id, state.recipient
    return delivery_id, recipient


def internal_header(headers: list[tuple[str, bytes | None]]) -> bytes:
    """Return what only Aftersend needs of a changelog record."""
    for name, value in headers:
        if name == HEADER:
            return value or b""
    return b""
