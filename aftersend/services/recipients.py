"""Rows and contact of one address, from the compacted topics."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from aftersend.config.settings import Settings
from aftersend.engine.aiokafka.records import FetchedRecord
from aftersend.rules.contact.quarantine import address_status
from aftersend.rules.recipient.decisions import DECISION_NAMES
from aftersend.rules.recipient.history import HistoryEntry, unpack_history
from aftersend.rules.recipient.kinds import KIND_NAME
from aftersend.rules.recipient.status_time import status_at
from aftersend.rules.views.escala.card import CardLine, card
from aftersend.rules.views.escala.card import as_json as card_as_json
from aftersend.schemas.contact import Contact
from aftersend.schemas.partitioning import partition_of
from aftersend.schemas.recipient import RecipientState, Row
from aftersend.schemas.times import iso
from aftersend.services.kafka.cluster import partitions_of
from aftersend.tables.codec.keys import SEPARATOR
from aftersend.tables.codec.public import Codec, decode_contact, decode_state
from aftersend.tables.codec.stored import decode_row, row_from_headers
from aftersend.tables.damage import read_state

#: Fields of a row that are times.
_TIMES: Final = (
    "status_at",
    "updated_at",
    "pending_since",
    "sent_at",
    "delivered_at",
    "opened_at",
    "last_opened_at",
    "clicked_at",
    "last_clicked_at",
    "unsubscribed_at",
    "complained_at",
)


class StoredAddress(msgspec.Struct):
    """Everything that is stored about one address."""

    #: Public record and stored row, by delivery id.
    rows: dict[str, tuple[RecipientState, Row]] = {}
    #: None: nothing is held against the address.
    contact: Contact | None = None


async def find_address(settings: Settings, recipient: str, delivery_id: str | None = None) -> StoredAddress:
    """Return what is stored about an address, committed records only.

    Reads the address's partition of the status and contacts topics to the end.

    Args:
        settings: of the installation.
        recipient: normalised address.
        delivery_id: of the only row to return; None: all rows.

    Raises:
        KafkaUnusableError: if Kafka does not answer, or a topic is missing.
    """
    topics = settings.topics
    partition = partition_of(recipient, await partitions_of(settings, topics.status, topics.contacts))
    suffix = (SEPARATOR + recipient).encode()
    exact = None if delivery_id is None else f"{delivery_id}{SEPARATOR}{recipient}".encode()
    found = StoredAddress()

    def apply(topic: str, _: int, records: list[FetchedRecord]) -> None:
        for record in records:
            key = record.key or b""
            if topic == topics.contacts:
                if key == recipient.encode():
                    found.contact = None if record.value is None else decode_contact(record.value)
            elif key == exact or (exact is None and key.endswith(suffix)):
                _apply_row(found, key, record)

    await read_state(
        settings.kafka_options(), {(topics.status, partition): None, (topics.contacts, partition): None}, apply
    )
    return found


def _apply_row(found: StoredAddress, key: bytes, record: FetchedRecord) -> None:
    delivery_id = key.decode().partition(SEPARATOR)[0]
    if record.value is None:
        found.rows.pop(delivery_id, None)
        return
    found.rows[delivery_id] = decode_state(record.value), decode_row(row_from_headers(record.headers))


def card_of(found: StoredAddress, delivery_id: str | None = None) -> list[CardLine]:
    """Return the lines of the contact's card as Escala shows it, the newest message first.

    Args:
        found: what is stored about the address.
        delivery_id: of the only delivery to show; None: all.
    """
    # For events without a delivery id, the contact's own notices are more precise than the row.
    lines = card(found.contact, {name: row for name, (_, row) in found.rows.items() if name})
    return [line for line in lines if delivery_id is None or line.delivery_id == delivery_id]


def address_as_json(
    recipient: str, found: StoredAddress, delivery_id: str | None, codec: Codec, now: float
) -> dict[str, Any]:
    """Return the JSON object of `aftersend recipient --json`.

    Args:
        recipient: normalised address.
        found: what is stored about the address.
        delivery_id: of the only delivery to show; None: all.
        codec: of the installation.
        now: time for which the contact's status is computed, seconds since 1970.
    """
    return {
        "recipient": recipient,
        "deliveries": [_row_as_json(state, row, codec) for state, row in found.rows.values()],
        "contact": _contact_as_json(found.contact, now) if found.contact is not None else None,
        "card": card_as_json(card_of(found, delivery_id)),
    }


def _event_as_json(entry: HistoryEntry, codec: Codec) -> dict[str, Any]:
    result = {
        "arrived_at": iso(entry.received_at),
        "kind": KIND_NAME[entry.kind],
        "decision": DECISION_NAMES[entry.decision],
        "repeats": entry.repeats,
        "source": codec.source_names.get(entry.source, str(entry.source)),
    }
    if any(entry.digest):  # an expiry has no record
        result |= {"partition": entry.partition, "offset": entry.offset}
    return result


def _row_as_json(state: RecipientState, row: Row, codec: Codec) -> dict[str, Any]:
    result: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(state))
    if (since := status_at(row)) is not None:
        result["status_at"] = since
    for name in _TIMES:
        if name in result:
            result[name] = iso(result[name])
    if "failure" in result:
        result["failure"]["at"] = iso(result["failure"]["at"])
    return result | {"history": [_event_as_json(entry, codec) for entry in unpack_history(row.history)]}


def _contact_as_json(contact: Contact, now: float) -> dict[str, Any]:
    result: dict[str, Any] = msgspec.to_builtins(contact)
    for name in ("cause_at", "updated_at", "quarantined_at", "error_counted_at"):
        if name in result:
            result[name] = iso(result[name])
    parts = [result[name] for name in ("error", "release", "unsubscription") if name in result]
    for part in (*parts, *result.get("notices", ())):
        part["at"] = iso(part["at"])
    return result | {"standing": address_status(contact, now).state}
