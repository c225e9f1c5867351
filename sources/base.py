"""What a source is: a name, a number that never changes, and a function from raw bytes to events."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from schemas.feedback import Feedback
from sources.webhook import Webhook


class SourceError(ValueError):
    """A raw record can't be read. The message says what is wrong and where; the record goes to the dead letters."""


class SourceOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What an installation may set for its sources. A metadata key can stand for one thing only."""

    #: Metadata keys that hold the delivery id, in order of preference.
    delivery_keys: tuple[str, ...] = ("delivery_id", "campaign_id", "campaign")
    #: Metadata keys that hold the message type (`campaign`, `automation`, `transactional`).
    message_type_keys: tuple[str, ...] = ("message_type",)
    #: Metadata keys that hold the tenant.
    tenant_keys: tuple[str, ...] = ("tenant",)
    #: Metadata keys whose true value marks a test message.
    test_keys: tuple[str, ...] = ("test",)
    #: Message headers that hold the delivery id, asked when the metadata say nothing. An MTA's log has to be
    #: configured to show them.
    delivery_headers: tuple[str, ...] = ()
    #: Whether the campaign in the name of KumoMTA's queue (`campaign:tenant@domain`) serves as delivery id when
    #: nothing else says, and the tenant in it as tenant.
    campaign_from_queue: bool = True
    #: A regular expression over the return path of an asynchronous bounce, with the named groups `delivery` and,
    #: if the addresses are coded in (VERP), `recipient`, where `=` stands for `@`. "": return paths say nothing.
    return_path: str = ""
    #: What marks a clicked link as the unsubscribe link, by being part of its URL.
    unsubscribe_urls: tuple[str, ...] = ("/unsubscribe", "/optout", "/opt-out")


#: Raw bytes in, canonical events out; raises `SourceError`. Called for every raw record, so it has to be quick.
Parser = Callable[[bytes], Iterable[Feedback]]


class Source(msgspec.Struct, frozen=True):
    """One source of feedback."""

    #: Names the source in `Feedback.source`, its raw topic and the command line.
    name: str
    #: Stands for the source in the rows' packed histories: 1 to 63, given once, never given again.
    number: int
    title: str
    #: Makes the source's parser for an installation's options.
    parser: Callable[[SourceOptions], Parser]
    #: How it comes in over HTTP; None: it does not.
    webhook: Webhook | None = None
    #: Anything else a tool may want to say of the source.
    notes: dict[str, Any] = {}
