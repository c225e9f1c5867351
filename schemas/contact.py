"""The contact record of one address: complaints, unsubscriptions, errors and notices, whatever the delivery."""

from __future__ import annotations

import msgspec

from aftersend.schemas.times import NEVER


class Notice(msgspec.Struct, gc=False, omit_defaults=True):
    """A line of a contact's card: the outcome of one message (`docs/domain.md §3.4`)."""

    delivery_id: str
    #: `bounced`, `complained`, `unsubscribed` or `not_sent`.
    kind: str
    at: float
    reason: str = ""
    message_type: str = ""
    #: The message had been delivered before: a complaint makes two lines.
    delivered: bool = False


class ContactError(msgspec.Struct, gc=False, omit_defaults=True):
    """An error of an address: the last one, or the one that put it in quarantine."""

    #: Arrival.
    at: float
    #: The failure class of the source.
    reason: str = ""
    #: SMTP reply code and enhanced status code (RFC 3463), if the source gave them.
    code: int = 0
    enhanced_code: str = ""
    #: Diagnostic text of the receiving side.
    diagnostic: str = ""
    delivery_id: str = ""


class Unsubscription(msgspec.Struct, gc=False, omit_defaults=True):
    """An unsubscription: arrival and delivery of the first unsubscribe, and its scope (`docs/domain.md §3.5`)."""

    at: float
    delivery_id: str = ""
    #: Types of the messages in which it was made; none: it covers all messages.
    types: list[str] = []


class Release(msgspec.Struct, gc=False, omit_defaults=True):
    """The last release of the address from quarantine by an operator."""

    #: Arrival.
    at: float
    #: Operator and reason, as the operator gave them.
    by: str = ""
    why: str = ""


class Contact(msgspec.Struct, gc=False, omit_defaults=True):
    """The value of the contacts topic: the state of one address, whatever the delivery. The key is the address.

    An address without complaints, unsubscriptions, errors or notices has no record. Times are seconds since 1970 (UTC).
    """

    schema: int
    recipient: str
    #: The address may not be mailed; `cause` says why.
    do_not_email: bool = False
    #: `complained`, `unsubscribed`, `hard_bounce` or `invalid_address`.
    cause: str = ""
    cause_at: float = NEVER
    cause_delivery_id: str = ""
    #: False once the address has proved invalid, by the setting `address_validity`.
    valid: bool = True
    updated_at: float = 0.0
    #: Failures in a row with the same reason, since the last success.
    failures: int = 0
    failure_reason: str = ""
    #: The latest last; `aftersend.rules.contact.fold.MAX_NOTICES` are kept.
    notices: list[Notice] = []
    version: int = 0
    #: The address as the first source spelled it whose spelling differs from `recipient`.
    address: str = ""
    #: Counted soft errors (each a day or more after the one before) since the last success or reset.
    errors: int = 0
    #: Arrival of the last counted error.
    error_counted_at: float = NEVER
    #: The last error since the last success; in quarantine: the one that put the address there.
    error: ContactError | None = None
    #: Arrival of the error that put the address in quarantine; left out: it is not in quarantine.
    quarantined_at: float | None = None
    #: The last release from quarantine.
    release: Release | None = None
    #: Hard bounces in a row with the same reason, since the last success.
    hard_bounces: int = 0
    hard_bounce_reason: str = ""
    #: Set while the address is unsubscribed, even if a stronger `cause` hides it.
    unsubscription: Unsubscription | None = None
