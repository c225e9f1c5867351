"""What is held against an address, whatever the delivery."""

from __future__ import annotations

from typing import Any, Final

from schemas.feedback import Folded

MAX_NOTICES: Final = 20

#: Why an address may not be mailed, the weakest first; a stronger cause replaces a weaker one.
CAUSES: Final = (("",), ("unsubscribed",), ("hard_bounce", "invalid_address"), ("complained",))
_STRENGTH: Final = {cause: strength for strength, causes in enumerate(CAUSES) for cause in causes}

_CAUSE_OF_KIND: Final = {
    "complained": "complained",
    "unsubscribed": "unsubscribed",
    "unsubscribed_one_click": "unsubscribed",
    "hard_bounce": "hard_bounce",
    "invalid_address": "invalid_address",
}
_NOTICE_OF_KIND: Final = {
    "complained": "complained",
    "unsubscribed": "unsubscribed",
    "unsubscribed_one_click": "unsubscribed",
    "hard_bounce": "bounced",
    "invalid_address": "bounced",
    "soft_bounce": "bounced",
}


class Contacts:
    """The contacts of one partition, as the contacts topic shows them."""

    def __init__(self) -> None:
        """Hold nothing against anybody."""
        self.by_address: dict[str, dict[str, Any]] = {}

    def hear(self, event: Folded, kind: str, now: float, *, confirmed: bool) -> None:
        """Take note of an event that is no duplicate and belongs to no test message.

        Args:
            event: what happened.
            kind: of the event.
            now: its arrival, seconds since 1970.
            confirmed: the recipient's row has seen an explicit `delivered`.
        """
        if not event.recipient:
            return
        notice = "not_sent" if kind.startswith("not_sent_") else _NOTICE_OF_KIND.get(kind)
        contact = self.by_address.get(event.recipient)
        if notice is not None:
            if contact is None:
                contact = self.by_address[event.recipient] = {"schema": 1, "recipient": event.recipient}
            _hold_against(contact, event, kind, now)
            delivered = confirmed or kind == "complained"
            _add_notice(contact, event, notice, event.occurred_at or now, delivered=delivered)
        elif kind == "delivered" and contact is not None and "failures" in contact:
            del contact["failures"]
            contact.pop("failure_reason", None)
        elif kind == "resubscribed" and contact is not None and contact.get("cause") == "unsubscribed":
            for name in ("do_not_email", "cause", "cause_at", "cause_delivery_id"):
                contact.pop(name, None)
        else:
            return
        contact["updated_at"] = now
        contact["version"] = contact.get("version", 0) + 1


def _hold_against(contact: dict[str, Any], event: Folded, kind: str, now: float) -> None:
    cause = _CAUSE_OF_KIND.get(kind, "")
    if _STRENGTH[cause] > _STRENGTH[contact.get("cause", "")]:
        contact |= {"do_not_email": True, "cause": cause, "cause_at": now, "cause_delivery_id": event.delivery_id}
    if kind in {"hard_bounce", "invalid_address"}:
        contact["valid"] = False
    if kind in {"hard_bounce", "invalid_address", "soft_bounce"}:
        same = event.reason == contact.get("failure_reason", "")
        contact["failures"] = contact.get("failures", 0) + 1 if same else 1
        contact["failure_reason"] = event.reason


def _add_notice(contact: dict[str, Any], event: Folded, kind: str, at: float, *, delivered: bool) -> None:
    """Put a notice at the end; the same kind for the same delivery is one notice, the last."""
    fields = {
        "delivery_id": event.delivery_id,
        "kind": kind,
        "at": at,
        "reason": event.reason,
        "message_type": event.message_type,
        "delivered": delivered,
    }
    others = [n for n in contact.get("notices", []) if (n["delivery_id"], n["kind"]) != (event.delivery_id, kind)]
    required = ("delivery_id", "kind", "at")
    notice = {name: value for name, value in fields.items() if value or name in required}
    contact["notices"] = [*others, notice][-MAX_NOTICES:]


def public(contact: dict[str, Any]) -> dict[str, Any]:
    """Return a contact without fields at their default, as the topic has it."""
    return {name: value for name, value in contact.items() if value not in ("", 0, 0.0) or name == "valid"}
