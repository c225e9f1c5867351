"""Rows, contacts and KPIs as the stores hold them: msgpack, without field names where that saves space."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec
from msgspec.structs import astuple, fields

from aftersend.rules.recipient.statuses import STATUS_NAME
from aftersend.schemas.contact import Contact, ContactError, Notice, Release, Unsubscription
from aftersend.schemas.kpi import KpiPartial
from aftersend.schemas.recipient import Row
from aftersend.tables.codec.keys import HEADER, internal_header

#: Offset of the status in an encoded row: behind the three bytes that open a msgpack array of 16 to 65,535 fields.
STATUS_AT: Final = 3

encode_row: Final = msgspec.msgpack.Encoder().encode
decode_row: Final = msgspec.msgpack.Decoder(Row).decode
_decode_fields: Final = msgspec.msgpack.Decoder(list[Any]).decode
_decode_partial: Final = msgspec.msgpack.Decoder(KpiPartial).decode

#: What opens a row: a msgpack array of 16 to 65,535 fields, of which there are fewer than 256; their number follows.
_ROW_PREFIX: Final = b"\xdc\x00"
_FIELDS: Final = len(Row.__struct_fields__)
if encode_row(Row())[: STATUS_AT + 1] != _ROW_PREFIX + bytes([_FIELDS, 0]):  # pragma: no cover
    raise AssertionError("Row must have 16 or more fields, the status first: sweeps read it without decoding the row")

_NOTICES: Final = Contact.__struct_fields__.index("notices")
#: Positions and types of the optional parts of a contact.
_PARTS_OF_CONTACT: Final[tuple[tuple[int, Callable[..., msgspec.Struct]], ...]] = tuple(
    (Contact.__struct_fields__.index(name), part)
    for name, part in (("error", ContactError), ("release", Release), ("unsubscription", Unsubscription))
)
#: Positions of the times that have a default, and the default object itself: only that object is left out of the public
#: JSON.
_DEFAULT_TIMES: Final[tuple[tuple[int, float], ...]] = tuple(
    (Contact.__struct_fields__.index(field.name), field.default)
    for field in fields(Contact)
    if isinstance(field.default, float)
)


def row_from_headers(headers: list[tuple[str, bytes | None]]) -> bytes:
    """Return an encoded row from the headers of its record on the status topic.

    Raises:
        ValueError: if they hold no row, or one of a later version, of which this version would lose fields.
    """
    packed = internal_header(headers)
    if packed[:2] != _ROW_PREFIX or packed[2] > _FIELDS or packed[STATUS_AT] >= len(STATUS_NAME):
        raise ValueError(f"the header {HEADER!r} holds no row that this version can read")
    return packed


def pack_contact(contact: Contact) -> bytes:
    """Return a contact as the stores hold it: the fields of all its parts, in order, without their names."""
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


def decode_partial(stored: bytes) -> KpiPartial:
    """Return a delivery's KPIs from the stores, or from the header of a record of the KPI topic."""
    return _decode_partial(stored)
