"""A source of feedback: its name, its number, its parser, and all that the rest of the package needs of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

import msgspec

from aftersend.schemas.event import Feedback
from aftersend.sources.webhook import Webhook

#: So many problems are named; the raw record has the others.
_MAX_PROBLEMS: Final = 5


class SourceError(ValueError):
    """A raw record can't be read. The message says what is wrong and where; the record goes to the dead letters."""


def readable_part(events: list[Feedback], problems: list[str]) -> Iterable[Feedback]:
    """Return what can be read of a record that holds many events, as webhooks do, and then raise.

    One unreadable event must not hold hundreds of others back, and must not get lost: it is kept in the dead letters,
    with the whole record. When that is replayed, its other events are duplicates by their ids.

    Raises:
        SourceError: if nothing at all can be read; else it comes after the last of the events.
    """
    if not problems:
        return events
    message = "; ".join(problems[:_MAX_PROBLEMS])
    if len(problems) > _MAX_PROBLEMS:
        message = f"{message}; and {len(problems) - _MAX_PROBLEMS} more"
    if not events:
        raise SourceError(message)
    return _then_raise(events, f"{len(problems)} of {len(events) + len(problems)} can't be read: {message}")


def _then_raise(events: list[Feedback], message: str) -> Iterator[Feedback]:
    yield from events
    raise SourceError(message)


def check_keys(events: Iterable[Feedback]) -> None:
    """Refuse events whose keys had bytes in them that are no characters: two of them could become one.

    Raises:
        SourceError: if there is one.
    """
    for event in events:
        if any("\ufffd" in key for key in (event.recipient, event.delivery_id, event.tenant, event.event_id)):
            raise SourceError("recipient, delivery id, tenant or event id has bytes that are no text")


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
    #: Whether the campaign in the name of the MTA's queue (`campaign:tenant@domain`) serves as delivery id when
    #: nothing else says, and the tenant in it as tenant.
    campaign_from_queue: bool = True
    #: A regular expression over the return path of an asynchronous bounce, with the named groups `delivery` and,
    #: if the addresses are coded in (VERP), `recipient`, where `=` stands for `@`. "": return paths say nothing.
    return_path: str = ""
    #: What marks a clicked link as the unsubscribe link, by being part of its URL.
    unsubscribe_urls: tuple[str, ...] = ("/unsubscribe", "/optout", "/opt-out")


#: Raw bytes in, canonical events out; called for every raw record, so it has to be quick. Raises `SourceError` when
#: called, or when what it returned is gone through, after the last event that can be read (`readable_part`): the events
#: before it count, and the record goes to the dead letters all the same.
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
    #: Other names that the provider and its documentation use.
    aliases: tuple[str, ...] = ()
    #: How long after `sent` a row waits for an outcome until it expires, seconds; None: as long as the installation
    #: says (`response_window_hours`). No shorter than the source itself tries to deliver.
    response_window_seconds: float | None = None
    #: Whether a token in the path of a request is enough (the default of the setting `gateway_token_sources`). Only for
    #: a source that signs nothing and reports on recipients; never for one that gives orders.
    token_suffices: bool = False
    #: The module that writes what the source sends, for demo and trials; "": there is none. By name, since production
    #: never imports it.
    simulator: str = ""
