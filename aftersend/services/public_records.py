"""Rows and contacts as the API shows them: the records of the topics, with times in ISO 8601.

The types are derived from the records' own types, so a field that is new on a topic is new in the API and in its
OpenAPI document as well.
"""

from __future__ import annotations

import types
import typing
from typing import Annotated, Any

import msgspec

from aftersend.rules.recipient.status_time import status_at
from aftersend.schemas.contact import Contact
from aftersend.schemas.recipient import RecipientState, Row
from aftersend.schemas.times import iso
from aftersend.services.names.labels import ApiLabels

#: A time in an answer.
Time = Annotated[
    str, msgspec.Meta(description="ISO 8601, UTC, to the millisecond", extra_json_schema={"format": "date-time"})
]


class DatedState(RecipientState):
    """The state of one recipient of one delivery, and when it got its status."""

    #: Arrival of the event that gave it its status.
    status_at: float | None = None


def dated(state: RecipientState, row: Row) -> DatedState:
    """Return a row's public record with the time of its status, which the stored row remembers."""
    return DatedState(**msgspec.structs.asdict(state), status_at=status_at(row))


def _is_time(name: str) -> bool:
    return name == "at" or name.endswith("_at") or name == "pending_since"


def _public_field_type(hint: Any, name: str, derived: dict[type, type]) -> Any:
    """Return the public type of a field.

    Args:
        hint: the field's own type.
        name: of the field.
        derived: public types so far, by record type; added to.
    """
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is msgspec.Raw:
        public: Any = list[str]
    elif hint is float and _is_time(name):
        public = Time
    elif isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        public = public_type_of(hint, derived)
    elif origin is types.UnionType:
        # A field that is None is left out.
        public = _public_field_type(next(a for a in arguments if a is not type(None)), name, derived)
    elif origin is list:
        public = list[_public_field_type(arguments[0], "", derived)]  # type: ignore[misc]  # built at run time
    else:
        public = hint
    return public


def public_type_of(
    record: type[msgspec.Struct], derived: dict[type, type] | None = None, **more: type
) -> type[msgspec.Struct]:
    """Return the public type of a record; fields at their default are optional.

    Args:
        record: the record's type.
        derived: public types so far, by record type; added to.
        more: types of further fields by name, which are optional.
    """
    derived = {} if derived is None else derived
    if record not in derived:
        hints = typing.get_type_hints(record)
        fields: list[Any] = []
        for field in msgspec.structs.fields(record):
            if field.name == "schema":
                continue
            public = _public_field_type(hints[field.name], field.name, derived)
            fields.append(
                (field.name, public) if field.required else (field.name, public | msgspec.UnsetType, msgspec.UNSET)
            )
        fields += [(name, of | msgspec.UnsetType, msgspec.UNSET) for name, of in more.items()]
        struct = msgspec.defstruct(record.__name__, fields, kw_only=True, module=__name__)
        struct.__doc__ = (record.__doc__ or "").partition("\n")[0]
        derived[record] = struct
    return typing.cast("type[msgspec.Struct]", derived[record])


if typing.TYPE_CHECKING:  # what `to_public` returns; the types themselves are built at run time
    PublicRow = dict[str, Any]
    PublicContact = dict[str, Any]
else:
    PublicRow = public_type_of(DatedState, labels=ApiLabels)
    PublicContact = public_type_of(Contact)


def to_public(record: msgspec.Struct) -> dict[str, Any]:
    """Return a record in its public form: fields at their default left out, times in ISO 8601."""
    plain = msgspec.json.decode(msgspec.json.encode(record))
    plain.pop("schema", None)
    return typing.cast("dict[str, Any]", _with_times(plain))


def _with_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: iso(inner) if _is_time(name) and isinstance(inner, (int, float)) else _with_times(inner)
            for name, inner in value.items()
            if not (_is_time(name) and not inner)
        }
    if isinstance(value, list):
        return [_with_times(inner) for inner in value]
    return value
