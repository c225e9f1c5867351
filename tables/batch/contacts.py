"""The contacts that a batch changes."""

from __future__ import annotations

from aftersend.rules.contact import fold as contact_rules
from aftersend.rules.contact.fold import CONTACT_EFFECT, UPDATES_EXISTING
from aftersend.schemas.contact import Contact
from aftersend.schemas.event import FoldEvent
from aftersend.tables.codec.stored import unpack_contact
from aftersend.tables.stores.base import PartitionStore


class BatchContacts:
    """The contacts that one batch has changed, by recipient.

    Args:
        store: the partition's committed state.
        invalid_after: hard bounces in a row after which an address is invalid (`aftersend.rules.contact.validity`).
    """

    def __init__(self, store: PartitionStore, invalid_after: int) -> None:
        self._store = store
        self._invalid_after = invalid_after
        self.changed: dict[str, Contact] = {}

    def update(self, event: FoldEvent, kind: int, received_at: float, row_facts: int, default_type: str = "") -> None:
        """Fold an event into the contact of its recipient.

        Args:
            event: has a recipient; `CONTACT_EFFECT` of its kind is not 0.
            kind: of the event.
            received_at: arrival, seconds since 1970.
            row_facts: of the recipient's row, this event included.
            default_type: message type of an event that names none.
        """
        recipient = event.recipient
        contact = self.changed.get(recipient)
        if contact is None:
            stored = self._store.contact(recipient)
            if stored is not None:
                contact = unpack_contact(stored)
            elif CONTACT_EFFECT[kind] == UPDATES_EXISTING:
                return
        message_type = event.message_type or default_type
        contact = contact_rules.update(
            contact, event, kind, received_at, row_facts, self._invalid_after, message_type=message_type
        )
        if contact is not None:
            self.changed[recipient] = contact
