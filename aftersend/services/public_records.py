"""How the API shows what travels on the topics: the same records, times as ISO 8601, personal data masked or not.

The views are made from the records' own types, so a field that is new on a topic is new in the API and its OpenAPI
document as well.
"""

from __future__ import annotations

import types
import typing
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

import msgspec

from aftersend.schemas.contact import Contact
from aftersend.schemas.recipient import RecipientState
from aftersend.schemas.times import iso

#: A time as the API writes it.
Time = Annotated[
    str, msgspec.Meta(description="ISO 8601, UTC, to the millisecond", extra_json_schema={"format": "date-time"})
]
_HIDDEN: Final = "***"


def _is_time(name: str) -> bool:
    return name == "at" or name.endswith("_at") or name == "pending_since"


def _view_type(hint: Any, name: str, made: dict[type, type]) -> Any:
    """Return the type by which a field is shown."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is msgspec.Raw:
        shown: Any = list[str]
    elif hint is float and _is_time(name):
        shown = Time
    elif isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        shown = view_of(hint, made)
    elif origin is types.UnionType:
        # What is None is left out.
        shown = _view_type(next(a for a in arguments if a is not type(None)), name, made)
    elif origin is list:
        shown = list[_view_type(arguments[0], "", made)]  # type: ignore[misc]  # made at run time
    else:
        shown = hint
    return shown


def view_of(record: type[msgspec.Struct], made: dict[type, type] | None = None) -> type[msgspec.Struct]:
    """Return the type by which a record is shown: fields at their default are left out."""
    made = {} if made is None else made
    if record not in made:
        hints = typing.get_type_hints(record)
        fields: list[Any] = []
        for field in msgspec.structs.fields(record):
            if field.name == "schema":
                continue
            view = _view_type(hints[field.name], field.name, made)
            fields.append(
                (field.name, view) if field.required else (field.name, view | msgspec.UnsetType, msgspec.UNSET)
            )
        shown = msgspec.defstruct(record.__name__, fields, kw_only=True, module=__name__)
        shown.__doc__ = (record.__doc__ or "").partition("\n")[0]
        made[record] = shown
    return typing.cast("type[msgspec.Struct]", made[record])


if typing.TYPE_CHECKING:  # what `shown` returns; the types themselves are made at run time
    PublicRow = dict[str, Any]
    PublicContact = dict[str, Any]
else:
    PublicRow = view_of(RecipientState)
    PublicContact = view_of(Contact)


def shown(record: msgspec.Struct) -> dict[str, Any]:
    """Return a record as the API shows it: fields at their default left out, times as ISO 8601."""
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


# ----------------------------------------------------------------------------------------------------- personal data


def mask_address(address: str) -> str:
    """Return an address of which only the first letter and the domain can be seen, as in j***@example.com."""
    if not address:
        return ""
    local, at, domain = address.rpartition("@")
    if not at:
        return address[:1] + _HIDDEN
    return f"{local[:1]}{_HIDDEN}@{domain}"


def mask_url(url: str) -> str:
    """Return a link of which only scheme and host can be seen."""
    if not url:
        return ""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return _HIDDEN
    return f"{parts.scheme}://{host}/{_HIDDEN}" if parts.scheme and host else _HIDDEN


def mask_ip(ip: str) -> str:
    """Return an address of the network of which only the first half can be seen."""
    if not ip:
        return ""
    if ":" in ip:
        return ":".join(ip.split(":")[:2]) + f":{_HIDDEN}"
    return ".".join(ip.split(".")[:2]) + f".{_HIDDEN}"


def _hide(text: str) -> str:
    return _HIDDEN if text else ""


def _hide_addresses(text: str) -> str:
    """Hide an id that is, or may hold, somebody's address."""
    return _HIDDEN if "@" in text else text


#: By the field's name, wherever it stands.
_MASKS: Final = {
    "recipient": mask_address,
    "address": mask_address,
    "diagnostic": _hide,
    "url": mask_url,
    "ip": mask_ip,
    "user_agent": _hide,
    "event_id": _hide_addresses,
    "provider_id": _hide_addresses,
    "detail": _hide_addresses,
    "by": _hide,
    "why": _hide,
}


def masked(value: Any) -> Any:
    """Return an answer with its personal data hidden, for those who may not see it."""
    if isinstance(value, dict):
        return {
            name: _MASKS[name](inner) if name in _MASKS and isinstance(inner, str) else masked(inner)
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [masked(inner) for inner in value]
    return value
