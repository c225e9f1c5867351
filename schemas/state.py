"""What the tables hold: the row of a recipient, as stored and as published, the contact, the KPIs of a delivery."""

from __future__ import annotations

from typing import Final

import msgspec

#: The version of the values on the status, contacts and KPI topics; raised when a field changes its meaning.
SCHEMA_VERSION: Final = 1
#: The time of what has not happened. Fields at their default are left out of the public JSON, which goes by the very
#: object: whoever sets such a time back takes this one.
NEVER: Final = 0.0


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

    #: Numbers and bits of `rules.lifecycle`.
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
    #: The last events, packed (`rules.history`).
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

    # The fields from `updated_at` to `machine_clicks` stand in the same order in `Row`: `tables.codec` copies them so.
    schema: int
    delivery_id: str
    recipient: str
    #: One of `rules.lifecycle.STATUS_NAMES`, or "none".
    status: str
    #: What happened to the recipient so far, by the names of `rules.lifecycle.FACT_NAMES`.
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


class Notice(msgspec.Struct, gc=False, omit_defaults=True):
    """One line of a contact's card: what came of one message (`semantics.md` section 5)."""

    delivery_id: str
    #: `bounced`, `complained`, `unsubscribed` or `not_sent`.
    kind: str
    at: float
    reason: str = ""
    message_type: str = ""
    #: The message had been delivered before (a complaint's two lines).
    delivered: bool = False


class ContactError(msgspec.Struct, gc=False, omit_defaults=True):
    """An error that is held against an address: the last one, or the one that put it in quarantine."""

    #: Arrival.
    at: float
    #: The source's own class.
    reason: str = ""
    #: The SMTP reply code and the enhanced status code (RFC 3463), where the source gave them.
    code: int = 0
    enhanced_code: str = ""
    #: What the other side said.
    diagnostic: str = ""
    delivery_id: str = ""


class Unsubscription(msgspec.Struct, gc=False, omit_defaults=True):
    """That the address wants no more mail: arrival and delivery of the first unsubscribe, and from what."""

    at: float
    delivery_id: str = ""
    #: Message types that it unsubscribed from, by the messages it did so in; none: from all.
    types: list[str] = []


class Release(msgspec.Struct, gc=False, omit_defaults=True):
    """The last time that an operator took the address out of quarantine."""

    #: Arrival.
    at: float
    #: Who did it, and why, in their own words.
    by: str = ""
    why: str = ""


class Contact(msgspec.Struct, gc=False, omit_defaults=True):
    """The value of the contacts topic: what is known of one address, whatever the delivery. The key is the address.

    An address that nothing is held against has no record. Times are seconds since 1970 (UTC).
    """

    schema: int
    recipient: str
    #: The address may not be mailed; `cause` says why.
    do_not_email: bool = False
    #: `complained`, `unsubscribed`, `hard_bounce` or `invalid_address`.
    cause: str = ""
    cause_at: float = NEVER
    cause_delivery_id: str = ""
    #: False once the address itself has proved bad, by the setting `address_validity`.
    valid: bool = True
    updated_at: float = 0.0
    #: Failures in a row with the same reason, since the last success.
    failures: int = 0
    failure_reason: str = ""
    #: Latest last; `rules.contacts.MAX_NOTICES` are kept.
    notices: list[Notice] = []
    version: int = 0
    #: The address as the first source spelled it that did so otherwise than `recipient`.
    address: str = ""
    #: Soft errors that count (each a day or more after the one before) since the last success or reset.
    errors: int = 0
    #: Arrival of the last error that counted.
    error_counted_at: float = NEVER
    #: The last error since the last success; in quarantine: the one that put the address there.
    error: ContactError | None = None
    #: Arrival of the error that put the address in quarantine; left out: it is not there.
    quarantined_at: float | None = None
    #: The last time that an operator took the address out of quarantine.
    release: Release | None = None
    #: Hard bounces in a row with the same reason, since the last success.
    hard_bounces: int = 0
    hard_bounce_reason: str = ""
    #: There while the address is unsubscribed, also where a weightier `cause` hides it.
    unsubscription: Unsubscription | None = None


class KpiPartial(msgspec.Struct, gc=False):
    """The KPIs of one delivery in one partition, as the stores hold them (msgpack); all else is computed from it."""

    #: (facts << 8 | status) -> number of rows; rows of test messages are not in it.
    cells: dict[int, int] = {}
    #: (source << 12 | kind << 4 | decision) -> number of events.
    events: dict[int, int] = {}
    #: The first and the last arrival, seconds since 1970.
    started_at: float = 0.0
    updated_at: float = 0.0
    version: int = 0
    #: Rows were tombstoned after their retention; the KPIs stay as they were.
    archived: bool = False


class DeliveryKpis(msgspec.Struct, gc=False, omit_defaults=True):
    """The value of the KPI topic: what one partition adds to the KPIs of one delivery. Add up over the partitions.

    The key is `delivery_id`, a TAB, the partition. Times are seconds since 1970 (UTC).
    """

    schema: int
    delivery_id: str
    partition: int
    version: int
    started_at: float
    updated_at: float
    #: By the names of `rules.indicators`.
    kpis: dict[str, int]
    #: Rows by status.
    statuses: dict[str, int]
    #: source -> kind -> decision -> events.
    events: dict[str, dict[str, dict[str, int]]]
    archived: bool = False


class Clock(msgspec.Struct, gc=False):
    """The KPI topic's record with the key `@clock`: the last tick that a partition has folded."""

    schema: int
    partition: int
    tick: float
