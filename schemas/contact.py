"""The contact record of one address: what is held against it, whatever the delivery."""

from __future__ import annotations

import msgspec

from aftersend.schemas.times import NEVER


class Notice(msgspec.Struct, gc=False, omit_defaults=True):
    """One line of a contact's card: what came of one message (`docs/domain.md §3.4`)."""

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
    #: Latest last; `aftersend.rules.contact.fold.MAX_NOTICES` are kept.
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
