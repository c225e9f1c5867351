"""The state of one recipient of one delivery: the row as stored, and the record of the status topic."""

from __future__ import annotations

import msgspec


class Failure(msgspec.Struct, array_like=True, gc=False):
    """Why a recipient could not be reached: what the last failure said."""

    at: float = 0.0
    reason: str = ""
    code: int = 0
    enhanced_code: str = ""
    diagnostic: str = ""


class Row(msgspec.Struct, array_like=True, gc=False):
    """One recipient of one delivery, as the stores hold it (msgpack array); `RecipientState` is its public form.

    Rows of a million recipients live in memory at once: absent things are None or 0, which take one byte. Fields are
    only ever added, at the end and with a default: packed rows lie on the status topic, without the names. All times
    are seconds since 1970 by the provider's clock (`occurred_at`), except `updated_at` and `pending_since`, which are
    arrival times (`received_at`).
    """

    #: Numbers and bits of `aftersend.rules.recipient.lifecycle`.
    status: int = 0
    facts: int = 0
    previous: int = 0
    #: One more for each change that the public form shows.
    version: int = 0
    #: The number of the source that was heard last (of a row that waits for an outcome, or did so in vain: that has it
    #: sent), and of the message type (0: not known).
    source: int = 0
    message_type: int = 0
    updated_at: float = 0.0
    #: Of a row that waits for an outcome, or did so in vain: arrival of the first `sent`, `deferred` or
    #: `soft_bounce`, from which expiry counts.
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
    #: The address as the source spelled it, where that differs from the key.
    address: str | None = None
    #: The id of the event that made this version; left out of stored rows where `history` ends with the same 32 hex
    #: digits.
    cause: str = ""
    #: The last events, packed (`aftersend.rules.recipient.history`).
    history: bytes = b""


class Cause(msgspec.Struct, gc=False, omit_defaults=True):
    """The event that made a version of a row, and where its raw record lies."""

    #: The event's id; "" for an expiry, which no event causes.
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

    # The fields from `updated_at` to `machine_clicks` stand in the same order in `Row`: `aftersend.tables.codec` copies
    # them so.
    schema: int
    delivery_id: str
    recipient: str
    #: One of `aftersend.rules.recipient.lifecycle.STATUS_NAMES`, or "none".
    status: str
    #: What happened to the recipient so far, by the names of `aftersend.rules.recipient.lifecycle.FACT_NAMES`.
    facts: msgspec.Raw
    #: The status before this one.
    previous: str = ""
    #: One more for each change; the same version may come twice and then says the same.
    version: int = 0
    #: The source that was heard last; of a row that waits for an outcome, or did so in vain: that has it sent.
    source: str = ""
    message_type: str = ""
    #: Arrival of the event that made this version.
    updated_at: float = 0.0
    #: Of a row that waits for an outcome, or did so in vain: arrival of the first `sent`, `deferred` or
    #: `soft_bounce`, from which expiry counts.
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
    #: The address as the source spelled it, where that differs from `recipient`.
    address: str | None = None
    cause: Cause | None = None
    #: Nothing will replace the status any more.
    final: bool = False
