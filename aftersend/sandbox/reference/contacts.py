"""Contacts as they should be: complaints, unsubscriptions, errors and notices of an address (`docs/domain.md §3`)."""

from __future__ import annotations

from typing import Any, Final

from aftersend.sandbox.reference import validity
from aftersend.schemas.event import MESSAGE_TYPES, FoldEvent

MAX_NOTICES: Final = 20
MAX_DIAGNOSTIC: Final = 250
DAY: Final = 24 * 60 * 60.0

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
    "soft_bounce_exhausted": "bounced",
}


class Contacts:
    """The contacts of one partition, as the contacts topic shows them.

    Args:
        validity_policy: `five-in-a-row` or `at-once`.
    """

    def __init__(self, validity_policy: str = "five-in-a-row") -> None:
        self.validity_policy = validity_policy
        self.by_address: dict[str, dict[str, Any]] = {}

    def update(
        self, event: FoldEvent, kind: str, now: float, *, confirmed: bool, waits_since: float | None = None
    ) -> None:
        """Fold an event that is no duplicate and belongs to no test message.

        Args:
            event: of a recipient.
            kind: of the event.
            now: arrival of the event, seconds since 1970.
            confirmed: an explicit `delivered` of the recipient's row has arrived.
            waits_since: start of the wait of the recipient's row, seconds since 1970; None: it has none.
        """
        if not event.recipient:
            return
        notice = "not_sent" if kind.startswith("not_sent_") else _NOTICE_OF_KIND.get(kind)
        long_deferred = kind == "deferred" and waits_since is not None and now - waits_since >= DAY
        contact = self.by_address.get(event.recipient)
        if notice is not None or long_deferred:
            if contact is None:
                contact = self.by_address[event.recipient] = {"schema": 1, "recipient": event.recipient}
            self._count_against(contact, event, kind, now)
            if notice is not None:
                delivered = confirmed or kind == "complained"
                _add_notice(contact, event, notice, event.occurred_at or now, delivered=delivered)
            contact.setdefault("address", event.address)
            if not contact["address"]:
                del contact["address"]
        elif contact is None or not (
            (kind == "delivered" and _reached(contact))
            or (kind == "resubscribed" and _resubscribe(contact, event.message_type, now))
            or (kind == "released" and _release(contact, event, now))
        ):
            return
        contact["updated_at"] = max(now, contact.get("updated_at", 0.0))
        contact["version"] = contact.get("version", 0) + 1

    def _count_against(self, contact: dict[str, Any], event: FoldEvent, kind: str, now: float) -> None:
        cause = _CAUSE_OF_KIND.get(kind, "")
        current = contact.get("cause", "")
        alike = cause and _STRENGTH[cause] == _STRENGTH[current]
        earlier = alike and (now, event.delivery_id, cause) < (*_since(contact), current)
        if _STRENGTH[cause] > _STRENGTH[current] or earlier:
            contact |= {"do_not_email": True, "cause": cause, "cause_at": now, "cause_delivery_id": event.delivery_id}
        hard = kind in {"hard_bounce", "invalid_address"}
        if hard:
            reason = validity.reason_of(event.reason)
            streak = [*contact.get("streak", []), reason]
            while streak[0] != reason:  # only bounces with the same reason, up to the last one, count
                streak.pop(0)
            contact["streak"] = streak
            if kind == "invalid_address" or validity.is_invalid_after(streak, self.validity_policy):
                contact["valid"] = False
        if hard or kind in {"soft_bounce", "soft_bounce_exhausted"}:
            same = event.reason == contact.get("failure_reason", "")
            contact["failures"] = contact.get("failures", 0) + 1 if same else 1
            contact["failure_reason"] = event.reason
        if hard and now < contact.get("quarantined_at", 0.0):
            contact["error"], contact["quarantined_at"] = _error_of(event, now), now
        elif "quarantined_at" not in contact and (hard or kind in {"soft_bounce", "soft_bounce_exhausted", "deferred"}):
            _count_error(contact, event, now, hard=hard)
        if cause == "unsubscribed":
            _unsubscribe(contact, event, now)


def _count_error(contact: dict[str, Any], event: FoldEvent, now: float, *, hard: bool) -> None:
    """Quarantine at once for a hard error, for the fifth soft one that counts; nothing changes once it has begun.

    A soft error counts a day after the last counted one; after ten days the count restarts.
    """
    if not hard:
        counted = contact.get("counted", [])
        if counted and now - counted[-1] > 10 * DAY:
            counted = []
        if not counted or now - counted[-1] >= DAY:
            counted = [*counted, now]
        contact["counted"] = counted
    if hard or now >= contact.get("error", {"at": now})["at"]:
        contact["error"] = _error_of(event, now)
    if hard or len(contact["counted"]) == 5:
        contact["quarantined_at"] = now


def _error_of(event: FoldEvent, now: float) -> dict[str, Any]:
    return {
        "at": now,
        "reason": event.reason,
        "code": event.code,
        "enhanced_code": event.enhanced_code,
        "diagnostic": event.diagnostic[:MAX_DIAGNOSTIC],
        "delivery_id": event.delivery_id,
    }


def _since(contact: dict[str, Any]) -> tuple[float, str]:
    return contact["cause_at"], contact["cause_delivery_id"]


def _reached(contact: dict[str, Any]) -> bool:
    """Clear failures, and errors if they have not led to a quarantine; return whether there were any."""
    cleared = contact.keys() & {"failures", "streak"}
    if "quarantined_at" not in contact:
        cleared |= contact.keys() & {"counted"}
    for name in cleared | ({"failure_reason"} if cleared else set()) | ({"error"} if "counted" in cleared else set()):
        contact.pop(name, None)
    return bool(cleared)


def _unsubscribe(contact: dict[str, Any], event: FoldEvent, now: float) -> None:
    """Record the message types; an unsubscribe without a type covers all messages."""
    types = {event.message_type} & set(MESSAGE_TYPES)
    before = contact.get("unsubscription")
    if before is None:
        contact["unsubscription"] = {"at": now, "delivery_id": event.delivery_id, "types": sorted(types)}
        return
    before["types"] = sorted(types | set(before["types"])) if types and before["types"] else []
    before["at"], before["delivery_id"] = min((before["at"], before["delivery_id"]), (now, event.delivery_id))


def _resubscribe(contact: dict[str, Any], message_type: str, now: float) -> bool:
    before = contact.get("unsubscription")
    if (
        before is None
        or now < before["at"]
        or (message_type and before["types"] and message_type not in before["types"])
    ):
        return False
    left = [name for name in before["types"] if message_type and name != message_type]
    if left:
        before["types"] = left
        return True
    del contact["unsubscription"]
    if contact["cause"] == "unsubscribed":
        _next_cause(contact)
    return True


def _release(contact: dict[str, Any], event: FoldEvent, now: float) -> bool:
    """End a quarantine that had begun when the operator requested it."""
    if "quarantined_at" not in contact or contact["quarantined_at"] > (event.occurred_at or now):
        return False
    for name in ("quarantined_at", "counted", "error", "failures", "failure_reason", "streak", "valid"):
        contact.pop(name, None)
    contact["release"] = {"at": now, "by": event.reason, "why": event.diagnostic[:MAX_DIAGNOSTIC]}
    if contact.get("cause") in {"hard_bounce", "invalid_address"}:
        _next_cause(contact)
    return True


def _next_cause(contact: dict[str, Any]) -> None:
    """Clear the cause; an unsubscription that it hid becomes the cause."""
    left = contact.get("unsubscription")
    if left is not None:
        contact |= {"cause": "unsubscribed", "cause_at": left["at"], "cause_delivery_id": left["delivery_id"]}
        return
    for name in ("do_not_email", "cause", "cause_at", "cause_delivery_id"):
        contact.pop(name, None)


def _add_notice(contact: dict[str, Any], event: FoldEvent, kind: str, at: float, *, delivered: bool) -> None:
    """Append a notice; it replaces one of the same kind and delivery."""
    fields = {
        "delivery_id": event.delivery_id,
        "kind": kind,
        "at": at,
        "reason": event.reason,
        "message_type": event.message_type,
        "delivered": delivered,
    }
    same = {True: [], False: []}  # type: dict[bool, list[dict[str, Any]]]
    for one in contact.get("notices", []):
        same[(one["delivery_id"], one["kind"]) == (event.delivery_id, kind)].append(one)
    required = ("delivery_id", "kind", "at")
    notice = {name: value for name, value in fields.items() if value or name in required}
    latest = next((one for one in same[True] if one["at"] > at), notice)
    shown = sorted([*same[False], latest], key=lambda one: (one["at"], one["delivery_id"], one["kind"]))
    contact["notices"] = shown[-MAX_NOTICES:]


def public(contact: dict[str, Any]) -> dict[str, Any]:
    """Return a contact without fields at their default, as the topic has it."""
    shown = dict(contact)
    counted, streak = shown.pop("counted", []), shown.pop("streak", [])
    shown |= {"errors": len(counted), "error_counted_at": counted[-1]} if counted else {}
    shown |= {"hard_bounces": len(streak), "hard_bounce_reason": streak[-1]} if streak else {}
    for name in ("error", "release", "unsubscription"):
        if name in shown:
            shown[name] = {n: v for n, v in shown[name].items() if v or n == "at"}
    kept = {"valid", "quarantined_at"}
    return {name: value for name, value in shown.items() if value not in ("", 0, 0.0) or name in kept}
