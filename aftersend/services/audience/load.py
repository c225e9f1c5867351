"""Turns the lines of an audience into the sender's events: planned or ready recipients, and those left out with reason.

Memory: a hash of 8 bytes for each address, as Python integers in a set: about 80 MB for a million addresses.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from hashlib import blake2b
from itertools import islice
from typing import Final, Literal

import msgspec

from aftersend.config.settings import Settings
from aftersend.errors import UsageError
from aftersend.schemas.raw import RawRecord
from aftersend.services.audience.addresses import key_of, read_address
from aftersend.services.audience.file import AudienceFile, AudienceLine
from aftersend.services.kafka.cluster import partitions_of
from aftersend.services.kafka.raw_records import write_raw_records
from aftersend.services.progress import ShowProgress, no_progress
from aftersend.sources.base import SourceError
from aftersend.sources.own import sender
from aftersend.sources.own.sender.payload import SenderEvent
from aftersend.sources.parsing.event_ids import event_id
from aftersend.sources.parsing.metadata import label

#: Events in one raw record: single events would cost Kafka and the worker several times as much.
EVENTS_A_RECORD: Final = 200
#: Numbers of lines without an address that are kept.
_EXAMPLES: Final = 5

#: Kind of the event of a recipient.
InitialStatus = Literal["planned", "ready"]


class AudienceCounts(msgspec.Struct):
    """Counts of an audience: recipients, and lines that are none."""

    lines: int = 0
    #: Written as planned or ready, test addresses included.
    recipients: int = 0
    tests: int = 0
    #: Further copies of an address.
    duplicates: int = 0
    invalid: int = 0
    #: Lines without an address, or with one that can't be a key.
    empty: int = 0
    #: Numbers of the first of them.
    empty_lines: list[int] = []


def delivery_id_of(text: str) -> str:
    """Return a delivery id as the source `sender` accepts it.

    Raises:
        UsageError: if it does not.
    """
    try:
        delivery_id = label("the delivery's id", text)
    except SourceError as error:
        raise UsageError(str(error)) from error
    if not delivery_id:
        raise UsageError("the delivery's id is empty")
    return delivery_id


class AudienceLoader:
    """Turns the lines of a delivery's audience into events.

    Event ids are derived from delivery and address, so loading a file again, or the rest of it after an interruption,
    counts nothing twice.

    Args:
        delivery_id: of the delivery.
        state: kind of the recipients' events.
        tests: normalised test addresses, in addition to those that the file marks.
        message_type: of the delivery's messages; "": unknown.
    """

    def __init__(
        self, delivery_id: str, state: InitialStatus, tests: Collection[str] = (), message_type: str = ""
    ) -> None:
        self.counts = AudienceCounts()
        self._delivery = delivery_id
        self._state = state
        self._tests = frozenset(tests)
        self._message_type = message_type or None
        self._seen: set[int] = set()
        #: Further copies of an address so far.
        self._copies: Counter[str] = Counter()

    def events(self, lines: Iterable[AudienceLine]) -> Iterator[SenderEvent]:
        """Yield the events of the lines; a line without an address has none."""
        counts, seen = self.counts, self._seen
        for line in lines:
            counts.lines += 1
            recipient = line.recipient or _key_of_invalid(line.spelled)
            if not recipient:
                counts.empty += 1
                if len(counts.empty_lines) < _EXAMPLES:
                    counts.empty_lines.append(line.number)
                continue
            test = line.test or recipient in self._tests
            digest = int.from_bytes(blake2b(recipient.encode(), digest_size=8).digest())
            if digest in seen:
                counts.duplicates += 1
                self._copies[recipient] += 1
                yield self._event(line, recipient, "not_sent", "duplicate_address", test=test)
                continue
            seen.add(digest)
            if not line.recipient:
                counts.invalid += 1
                yield self._event(line, recipient, "not_sent", "invalid_address", test=test)
                continue
            counts.recipients += 1
            counts.tests += test
            yield self._event(line, recipient, self._state, "", test=test)

    def _event(
        self,
        line: AudienceLine,
        recipient: str,
        kind: Literal["planned", "ready", "not_sent"],
        reason: str,
        *,
        test: bool,
    ) -> SenderEvent:
        copy = self._copies[recipient] if reason == "duplicate_address" else 0
        return SenderEvent(
            kind,
            self._delivery,
            # The worker reads one address too, but not every form of it.
            line.spelled if key_of(line.spelled) == recipient else recipient,
            reason,
            message_type=self._message_type,  # type: ignore[arg-type]  # one of the command's choices
            test=test,
            event_id=event_id(f"audience|{self._delivery}|{recipient}|{kind}|{reason}|{copy}"),
        )


def _key_of_invalid(spelled: str) -> str:
    """Return the key of a value that is not one address; "" if it has none, or the key of somebody who has one."""
    key = key_of(spelled)
    return "" if read_address(key) else key


def records(events: Iterator[SenderEvent], now: float) -> Iterator[RawRecord]:
    """Yield raw records with `EVENTS_A_RECORD` events each.

    Args:
        events: in the order of the file.
        now: arrival of the records, seconds since 1970.
    """
    while batch := list(islice(events, EVENTS_A_RECORD)):
        yield RawRecord(sender.NAME, msgspec.json.encode(batch), None, int(now * 1000))


async def load_file(
    settings: Settings,
    file: AudienceFile,
    loader: AudienceLoader,
    *,
    dry_run: bool,
    show: ShowProgress | None = None,
) -> None:
    """Load an audience file; the loader has the counts. Nothing is written before the whole file is found readable.

    Args:
        settings: of the installation.
        file: of the audience.
        loader: of the delivery.
        dry_run: write nothing.
        show: opens a progress display, in bytes of the file; None: no display.

    Raises:
        UsageError: if the file is unreadable.
        KafkaUnusableError: if the raw topic is missing, or a record is not acknowledged.
    """
    display = show or no_progress
    if not dry_run:
        with display(f"checking {file.name}", file.size) as set_progress:
            file.check(set_progress)
    raw_records = records(loader.events(file.lines()), time.time())
    with display(f"{'reading' if dry_run else 'loading'} {file.name}", file.size) as set_progress:
        if dry_run:
            for _ in raw_records:
                set_progress(file.position)
            return
        partitions = {sender.NAME: await partitions_of(settings, settings.topics.raw(sender.NAME))}
        await write_raw_records(
            settings, raw_records, partitions, on_acknowledged=lambda _: set_progress(file.position)
        )
