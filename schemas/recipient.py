"""The state of one recipient of one delivery: the row as stored, and the record of the status topic."""

from __future__ import annotations

import msgspec


class Failure(msgspec.Struct, array_like=True, gc=False):
    """Why a recipient could not be reached, by the last failure."""

    at: float = 0.0
    reason: str = ""
    code: int = 0
    enhanced_code: str = ""
    diagnostic: str = ""


class Row(msgspec.Struct, array_like=True, gc=False):
    """One recipient of one delivery, as the stores hold it (msgpack array); `RecipientState` is its public form.

    A store may hold the rows of a million recipients in memory: absent values are None or 0, which take one byte.
    Fields are only added at the end and with a default, since the status topic holds packed rows without the names. All
    times are seconds since 1970 by the provider's clock (`occurred_at`), except `updated_at` and `pending_since`, which
    are arrival times (`received_at`).
    """

    #: Numbers of `aftersend.rules.recipient.statuses` and bits of `aftersend.rules.recipient.facts`.
    status: int = 0
    facts: int = 0
    previous: int = 0
    #: Incremented by each change of the public form.
    version: int = 0
    #: Number of the source of the last event (of a row that waits for an outcome, or has expired: of the source that
    #: sent it), and of the message type (0: unknown).
    source: int = 0
    message_type: int = 0
    updated_at: float = 0.0
    #: Of a row that waits for an outcome, or has expired: arrival of the first `sent`, `deferred` or `soft_bounce`,
    #: from which expiry counts.
    pending_since: float | None = None
    sent_at: float | None = None
    delivered_at: float | None = None
    opened_at: float | None = None
    last_opened_at: float | None = None
    clicked_at: float | None = None
    last_clicked_at: float | None = None
    unsubscribed_at: float | None = None
    complained_at: float | None = None
    #: Opens by humans and by machines; clicks by humans, unsubscribe link excluded, and by machines.
    opens: int = 0
    machine_opens: int = 0
    clicks: int = 0
    machine_clicks: int = 0
    failure: Failure | None = None
    #: The address as the source spelled it, if that differs from the key.
    address: str | None = None
    #: Id of the event that made this version; left out of stored rows if `history` ends with the same 32 hex digits.
    cause: str = ""
    #: The last events, packed (`aftersend.rules.recipient.history`).
    history: bytes = b""


class Cause(msgspec.Struct, gc=False, omit_defaults=True):
    """The event that made a version of a row, and the position of its raw record."""

    #: Id of the event; "" for an expiry, which no event causes.
    event_id: str = ""
    kind: str = ""
    topic: str = ""
    partition: int = 0
    offset: int = 0


class PublicFailure(msgspec.Struct, gc=False, omit_defaults=True):
    """Why a recipient could not be reached, as consumers read it."""

    at: float
    reason: str = ""
    code: int = 0
    enhanced_code: str = ""
    diagnostic: str = ""


class RecipientState(msgspec.Struct, gc=False, omit_defaults=True):
    """The value of the status topic: the state of one recipient of one delivery.

    The key is `delivery_id`, a TAB, `recipient`. Times are seconds since 1970 (UTC). Fields at their default are left
    out.
    """

    # The fields from `updated_at` to `machine_clicks` have the same order in `Row`: `aftersend.tables.codec.public`
    # copies them as a slice.
    schema: int
    delivery_id: str
    recipient: str
    #: One of `aftersend.rules.recipient.statuses.STATUS_NAMES`, or "none".
    status: str
    #: Everything that has happened to the recipient, by the names of `aftersend.rules.recipient.facts.FACT_NAMES`.
    facts: msgspec.Raw
    #: The status before this one.
    previous: str = ""
    #: Incremented by each change; a version may be written twice with the same content.
    version: int = 0
    #: The source of the last event; of a row that waits for an outcome, or has expired: the source that sent it.
    source: str = ""
    message_type: str = ""
    #: Arrival of the event that made this version.
    updated_at: float = 0.0
    #: Of a row that waits for an outcome, or has expired: arrival of the first `sent`, `deferred` or `soft_bounce`,
    #: from which expiry counts.
    pending_since: float | None = None
    sent_at: float | None = None
    delivered_at: float | None = None
    opened_at: float | None = None
    last_opened_at: float | None = None
    clicked_at: float | None = None
    last_clicked_at: float | None = None
    unsubscribed_at: float | None = None
    complained_at: float | None = None
    opens: int = 0
    machine_opens: int = 0
    clicks: int = 0
    machine_clicks: int = 0
    failure: PublicFailure | None = None
    #: The address as the source spelled it, if that differs from `recipient`.
    address: str | None = None
    cause: Cause | None = None
    #: The status is terminal.
    final: bool = False
