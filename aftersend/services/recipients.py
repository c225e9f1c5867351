"""What the compacted topics hold of one address: its rows, one for each delivery, and its card."""

from __future__ import annotations

from typing import Any

import msgspec

from aftersend.config.settings import Settings
from aftersend.engine import changelog
from aftersend.engine.aiokafka.records import FetchedRecord
from aftersend.rules.contact.quarantine import address_status
from aftersend.rules.recipient.decisions import DECISION_NAMES
from aftersend.rules.recipient.history import HistoryEntry, unpack_history
from aftersend.rules.recipient.kinds import KIND_NAME
from aftersend.rules.views.escala.card import CardLine, card
from aftersend.schemas.contact import Contact
from aftersend.schemas.recipient import RecipientState, Row
from aftersend.schemas.times import iso
from aftersend.tables.codec.keys import SEPARATOR
from aftersend.tables.codec.public import Codec, decode_contact, decode_state
from aftersend.tables.codec.stored import decode_row, row_from_headers

_TIMES = (
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
    """What there is of one address."""

    #: By delivery: each as consumers read it, and as the stores hold it.
    rows: dict[str, tuple[RecipientState, Row]] = {}
    contact: Contact | None = None


async def find(settings: Settings, recipient: str, partition: int, delivery: str | None) -> StoredAddress:
    """Read an address's partition of both topics to their ends, committed records only.

    Args:
        settings: of the installation.
        recipient: the address, normalised.
        partition: where it lies.
        delivery: the only one of interest; None: all.
    """
    topics = settings.topics
    wanted = (SEPARATOR + recipient).encode()
    exact = None if delivery is None else f"{delivery}{SEPARATOR}{recipient}".encode()
    found = StoredAddress()

    def apply(topic: str, _: int, records: list[FetchedRecord]) -> None:
        for record in records:
            key = record.key or b""
            if topic == topics.contacts:
                if key == recipient.encode():
                    found.contact = None if record.value is None else decode_contact(record.value)
            elif key == exact or (exact is None and key.endswith(wanted)):
                _take(found, key, record)

    await changelog.read(
        settings.kafka_options(), {(topics.status, partition): None, (topics.contacts, partition): None}, apply
    )
    return found


def _take(found: StoredAddress, key: bytes, record: FetchedRecord) -> None:
    delivery = key.decode().partition(SEPARATOR)[0]
    if record.value is None:
        found.rows.pop(delivery, None)
        return
    found.rows[delivery] = decode_state(record.value), decode_row(row_from_headers(record.headers))


def card_of(found: StoredAddress, delivery: str | None = None) -> list[CardLine]:
    """Return the lines of an address's card, the newest message first, as Escala has them.

    Args:
        found: what there is of the address.
        delivery: the only one whose lines are wanted; None: all.
    """
    # Of what came without a delivery, the contact's own notices tell more than the row.
    lines = card(found.contact, {name: row for name, (_, row) in found.rows.items() if name})
    return [line for line in lines if delivery is None or line.delivery_id == delivery]


def event_as_json(entry: HistoryEntry, codec: Codec) -> dict[str, Any]:
    """Return a remembered event as scripts read it."""
    result = {
        "arrived_at": iso(entry.received_at),
        "kind": KIND_NAME[entry.kind],
        "decision": DECISION_NAMES[entry.decision],
        "repeats": entry.repeats,
        "source": codec.source_names.get(entry.source, str(entry.source)),
    }
    if any(entry.digest):  # an expiry comes from no record
        result |= {"partition": entry.partition, "offset": entry.offset}
    return result


def row_as_json(state: RecipientState, row: Row, codec: Codec) -> dict[str, Any]:
    """Return a row as scripts read it: the public record, its times with their zone, and its last events."""
    result: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(state))
    for name in _TIMES:
        if name in result:
            result[name] = iso(result[name])
    if "failure" in result:
        result["failure"]["at"] = iso(result["failure"]["at"])
    return result | {"history": [event_as_json(entry, codec) for entry in unpack_history(row.history)]}


def contact_as_json(contact: Contact, now: float) -> dict[str, Any]:
    """Return a card as scripts read it; how things stand with the address depends on the time (seconds since 1970)."""
    result: dict[str, Any] = msgspec.to_builtins(contact)
    for name in ("cause_at", "updated_at", "quarantined_at", "error_counted_at"):
        if name in result:
            result[name] = iso(result[name])
    parts = [result[name] for name in ("error", "release", "unsubscription") if name in result]
    for part in (*parts, *result.get("notices", ())):
        part["at"] = iso(part["at"])
    return result | {"standing": address_status(contact, now).state}
