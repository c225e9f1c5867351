"""The card of a contact, as Escala shows it: a notice per message (`docs/domain.md §5.3`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec

from aftersend.rules.recipient.decisions import Decision
from aftersend.rules.recipient.facts import Fact
from aftersend.rules.recipient.fold import MESSAGE_TYPE_NUMBER
from aftersend.rules.recipient.history import unpack_history
from aftersend.rules.recipient.kinds import (
    COMPLAINED,
    HARD_BOUNCE,
    INVALID_ADDRESS,
    NOT_SENT_DUPLICATE_ADDRESS,
    SOFT_BOUNCE,
    SOFT_BOUNCE_EXHAUSTED,
)
from aftersend.rules.recipient.status_time import status_at
from aftersend.rules.recipient.statuses import NOT_SENT, STATUS_NAME
from aftersend.rules.views.escala.view import BOUNCED, status_of
from aftersend.schemas.contact import Contact, Notice
from aftersend.schemas.recipient import Row
from aftersend.schemas.times import iso

#: By the reason for not sending. **choice** Other reasons have no name on the card and keep their own.
FOUR_REASONS: Final = {
    "no_address": "invalid address",
    "invalid_address": "invalid address",
    "incorrect_address": "invalid address",
    "previously_complained": "earlier complaint",
    "unsubscribed": "earlier unsubscribe",
    "unsubscribed_from_type": "earlier unsubscribe",
    "previously_bounced": "earlier bounces",
}
#: By notice: the facts that its events leave, unless they arrive after the freeze; and their kinds.
_FACTS_OF_NOTICE: Final = {
    "complained": Fact.COMPLAINED,
    "bounced": Fact.SOFT_BOUNCED | Fact.HARD_BOUNCED | Fact.INVALID_ADDRESS,
    "not_sent": Fact.NOT_SENT | Fact.DUPLICATE_ADDRESS,
}
_KINDS_OF_NOTICE: Final = {
    "complained": frozenset({COMPLAINED}),
    "bounced": frozenset({SOFT_BOUNCE, SOFT_BOUNCE_EXHAUSTED, HARD_BOUNCE, INVALID_ADDRESS}),
    "not_sent": frozenset(range(NOT_SENT_DUPLICATE_ADDRESS + 1, 64)),
}
#: Every notice, and every label of a message.
NOTICES: Final = ("bounced", "delivered", "marked as spam", "not sent")
LABELS: Final = ("campaign", "automation")
_MESSAGE_TYPES: Final = tuple(MESSAGE_TYPE_NUMBER)


class CardLine(msgspec.Struct, frozen=True):
    """One line of the card."""

    delivery_id: str
    #: Seconds since 1970.
    at: float
    #: `automation` for triggered messages, `campaign` for all others and if the type is unknown.
    label: str
    #: One of `NOTICES`.
    notice: str
    #: Of a bounce the failure class; of `not sent` a value of `FOUR_REASONS`, or its own reason.
    reason: str = ""


def card(contact: Contact | None, rows: Mapping[str, Row]) -> list[CardLine]:
    """Return the lines of a contact's card, the newest message first.

    A complaint makes two lines, delivered first. Opens, clicks and deliveries without a complaint are not on the card.

    Args:
        contact: its notices replace rows that are forgotten, and tell what arrived after the freeze of a row; None: the
            address has none.
        rows: of the address, by delivery.
    """
    messages: list[list[CardLine]] = []
    for delivery_id, row in rows.items():
        if not row.facts & Fact.TEST:
            messages += _of_row(delivery_id, row)
    for notice in contact.notices if contact is not None else ():
        known = rows.get(notice.delivery_id)
        if known is None or (_is_late(notice, known) and not _has_line(notice, known)):
            messages += _of_notice(notice, None if known is None else known.delivered_at)
    messages.sort(key=lambda lines: (-lines[-1].at, lines[0].delivery_id))
    return [line for lines in messages for line in lines]


def as_json(lines: Iterable[CardLine]) -> list[dict[str, Any]]:
    """Return a card as JSON for scripts and the API: times as ISO 8601."""
    return [msgspec.structs.asdict(line) | {"at": iso(line.at)} for line in lines]


def _of_row(delivery_id: str, row: Row) -> Iterator[list[CardLine]]:
    label = _label(_MESSAGE_TYPES[row.message_type])
    since = status_at(row) or row.updated_at
    failed_at = row.failure.at if row.failure is not None else since
    if row.status >= NOT_SENT:
        yield [_not_sent(delivery_id, failed_at, label, STATUS_NAME[row.status].removeprefix("not_sent_"))]
    elif status_of(row.facts, row.status).name == BOUNCED:
        reason = row.failure.reason if row.failure is not None else ""
        yield [CardLine(delivery_id, failed_at, label, "bounced", reason)]
    if row.facts & Fact.COMPLAINED:
        complained_at = since if row.complained_at is None else row.complained_at
        yield _spam(delivery_id, row.delivered_at, complained_at, label)


def _is_late(notice: Notice, row: Row) -> bool:
    """Return whether a notice is of an event after the freeze, which changes the contact and not the row."""
    if row.facts & Fact.TEST:
        return False
    if not row.facts & _FACTS_OF_NOTICE.get(notice.kind, 0):
        return True
    kinds = _KINDS_OF_NOTICE.get(notice.kind, frozenset())
    return any(e.decision == Decision.LATE and e.kind in kinds for e in unpack_history(row.history))


def _has_line(notice: Notice, row: Row) -> bool:
    """Return whether the row has the line that a notice stands for."""
    if notice.kind == "complained":
        return bool(row.facts & Fact.COMPLAINED)
    if notice.kind == "not_sent":
        return row.status >= NOT_SENT
    return status_of(row.facts, row.status).name == BOUNCED


def _of_notice(notice: Notice, delivered_at: float | None) -> Iterable[list[CardLine]]:
    label = _label(notice.message_type)
    if notice.kind == "complained":
        return [_spam(notice.delivery_id, delivered_at, notice.at, label)]
    if notice.kind == "bounced":
        return [[CardLine(notice.delivery_id, notice.at, label, "bounced", notice.reason)]]
    if notice.kind == "not_sent":
        return [[_not_sent(notice.delivery_id, notice.at, label, notice.reason)]]
    return []


def _spam(delivery_id: str, delivered_at: float | None, complained_at: float, label: str) -> list[CardLine]:
    return [
        CardLine(delivery_id, complained_at if delivered_at is None else delivered_at, label, "delivered"),
        CardLine(delivery_id, complained_at, label, "marked as spam"),
    ]


def _not_sent(delivery_id: str, at: float, label: str, reason: str) -> CardLine:
    return CardLine(delivery_id, at, label, "not sent", FOUR_REASONS.get(reason, reason))


def _label(message_type: str) -> str:
    return "automation" if message_type in {"automation", "transactional"} else "campaign"
