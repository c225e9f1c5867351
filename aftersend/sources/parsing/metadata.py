"""What a sender's own metadata say of a message: its delivery, type and tenant, and whether it is a test.

Providers and MTAs carry metadata along, as an object, tags or custom arguments; which keys hold what is an
installation's choice (`SourceOptions`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Final, Literal, NamedTuple

import msgspec

from aftersend.schemas.event import MESSAGE_TYPES
from aftersend.sources.base import SourceError, SourceOptions
from aftersend.sources.parsing.address import control_character

#: As long as a delivery id or a tenant may be: both become parts of keys.
MAX_LENGTH: Final = 512

_Label = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_LENGTH)]
#: What the first key of each meaning holds in the usual record.
_USUAL: Final = {
    "delivery_id": _Label | None,
    "message_type": Literal["campaign", "automation", "transactional"] | None,
    "tenant": _Label | None,
    "test": Any,
}


class Labels(NamedTuple):
    """What the metadata say of a message; "" and False where they say nothing."""

    delivery_id: str = ""
    message_type: str = ""
    tenant: str = ""
    test: bool = False


NO_LABELS: Final = Labels()


class MetadataReader:
    """Reads labels out of metadata by an installation's keys.

    Quickly out of a `struct`, which msgspec has filled and checked, and thoroughly out of any JSON object.
    """

    __slots__ = ("_fields", "_keys", "_one_key_each", "struct")

    #: The type to decode the usual record's metadata as. It has the configured keys only, so that others are
    #: skipped; metadata that do not fit are decoded as a dict instead.
    struct: Any

    def __init__(self, options: SourceOptions) -> None:
        """Prepare for an installation's keys.

        Raises:
            ValueError: if one key is configured for two things.
        """
        self._keys = {
            "delivery_id": options.delivery_keys,
            "message_type": options.message_type_keys,
            "tenant": options.tenant_keys,
            "test": options.test_keys,
        }
        listed = [key for keys in self._keys.values() for key in keys]
        twice = sorted({key for key in listed if listed.count(key) > 1})
        if twice:
            raise ValueError(f"metadata keys configured for two things: {', '.join(twice)}")
        firsts = {name: keys[0] for name, keys in self._keys.items() if keys}
        others = [key for key in listed if key not in firsts.values()]
        self._fields = firsts | {f"other_{i}": key for i, key in enumerate(others)}
        self._one_key_each = len(options.message_type_keys) <= 1 and len(options.tenant_keys) <= 1
        self.struct = msgspec.defstruct(
            "Metadata",
            [(field, _USUAL.get(field, Any), None) for field in self._fields],
            rename=self._fields,
            namespace={name: None for name in _USUAL if name not in firsts},  # no key, no value
            gc=False,
        )

    def read(self, metadata: Any) -> tuple[str, str, str, bool]:
        """Return the fields of `Labels` from an instance of `struct`, a JSON object or None.

        Raises:
            SourceError: if the delivery id or tenant is no part for a key.
        """
        if type(metadata) is not self.struct:
            return self.read_mapping(metadata) if metadata else NO_LABELS
        delivery_id, tenant = metadata.delivery_id, metadata.tenant
        if (
            delivery_id is not None
            and metadata.test is None
            and delivery_id.isprintable()
            and (tenant is None or tenant.isprintable())
            and self._one_key_each
        ):
            return delivery_id, metadata.message_type or "", tenant or "", False
        return self.read_mapping({key: getattr(metadata, field) for field, key in self._fields.items()})

    def read_mapping(self, metadata: dict[str, Any]) -> Labels:
        """Return the labels that a JSON object holds.

        Raises:
            SourceError: if the delivery id or tenant is no part for a key.
        """
        values = {name: [metadata.get(key) for key in keys] for name, keys in self._keys.items()}
        return Labels(
            delivery_id=next(filter(None, (label("delivery id", v) for v in values["delivery_id"])), ""),
            message_type=next(filter(None, map(message_type, values["message_type"])), ""),
            tenant=next(filter(None, (label("tenant", v) for v in values["tenant"])), ""),
            test=any(map(is_true, values["test"])),
        )


def labels_of_tags(reader: MetadataReader, tags: Iterable[str]) -> Labels:
    """Return the labels that plain tags or categories hold, as `key:value` or `key=value`. Other tags say nothing.

    Raises:
        SourceError: if the delivery id or tenant is no part for a key.
    """
    pairs: dict[str, str] = {}
    for tag in tags:
        key, separator, value = tag.partition(":" if ":" in tag else "=")
        if separator:
            pairs.setdefault(key.strip(), value.strip())
    return reader.read_mapping(pairs) if pairs else NO_LABELS


def label(name: str, value: object) -> str:
    """Return a string or a whole number as a label; "" for anything else.

    Args:
        name: of what the label stands for, for the error's text.
        value: what JSON gave.

    Raises:
        SourceError: if it has a control character (the tables' keys are divided by one, and leaving it out could make
            one label of two) or is too long.
    """
    if isinstance(value, str):
        text = value
    elif isinstance(value, int) and not isinstance(value, bool):
        text = str(value)
    else:
        return ""
    if len(text) > MAX_LENGTH:
        raise SourceError(f"{name} is {len(text)} characters long, more than {MAX_LENGTH}")
    position = control_character(text)
    if position >= 0:
        raise SourceError(f"{name} has the control character {ord(text[position])} at position {position}")
    return text


def is_true(value: object) -> bool:
    """Whether a flag is set: true, 1, "true" or "1"."""
    if isinstance(value, str):
        return value.strip().lower() in {"true", "1"}
    return isinstance(value, int) and value == 1


def message_type(value: object) -> str:
    """Return a message type by its own name, "" for anything else."""
    name = value.strip().lower() if isinstance(value, str) else ""
    return name if name in MESSAGE_TYPES else ""
