"""An audience's lines into the sender's events: who is planned, who is left out and why.

Memory: 8 bytes of hash for each address, in a set of Python's integers, which comes to some 80 MB for a million.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from hashlib import blake2b
from itertools import islice
from typing import Final, Literal

import msgspec

from aftersend.schemas.raw import RawRecord
from aftersend.services.audience.addresses import is_valid, key_of
from aftersend.services.audience.table import AudienceLine
from aftersend.sources.own import sender
from aftersend.sources.own.sender.payload import SenderEvent
from aftersend.sources.parsing.event_ids import event_id

#: Events in a raw record: one by one they would cost Kafka and the worker several times as much.
EVENTS_A_RECORD: Final = 200

InitialStatus = Literal["planned", "ready"]


class AudienceCounts(msgspec.Struct):
    """What an audience came to; recipients, and lines that made none."""

    lines: int = 0
    #: Written as planned or ready, test addresses included.
    recipients: int = 0
    tests: int = 0
    #: Further copies of an address.
    duplicates: int = 0
    invalid: int = 0
    #: Lines without an address, or with one that can't be kept.
    empty: int = 0
    #: Of the first empty ones, for whoever mends the file.
    empty_lines: list[int] = []


_EXAMPLES: Final = 5


class AudienceLoader:
    """Turns the lines of a delivery's audience into events.

    Event ids are made of delivery and address, so loading a file again, or the rest of it after an interruption, counts
    nothing twice.

    Args:
        delivery_id: of the delivery.
        state: what recipients become.
        tests: addresses that are test addresses wherever they stand, normalised.
        message_type: of the delivery's messages, "" if nobody said.
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
        """Yield the events of the lines; those without an address give none, for there is nobody to count."""
        counts, seen = self.counts, self._seen
        for line in lines:
            counts.lines += 1
            recipient = key_of(line.spelled)
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
            if not is_valid(recipient):
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
            line.spelled,
            reason,
            message_type=self._message_type,  # type: ignore[arg-type]  # one of the command's choices
            test=test,
            event_id=event_id(f"audience|{self._delivery}|{recipient}|{kind}|{reason}|{copy}"),
        )


def records(events: Iterator[SenderEvent], now: float) -> Iterator[RawRecord]:
    """Yield the raw records that hold events, so many in each.

    Args:
        events: in the order of the file.
        now: when they arrive, seconds since 1970.
    """
    while batch := list(islice(events, EVENTS_A_RECORD)):
        yield RawRecord(sender.NAME, msgspec.json.encode(batch), None, int(now * 1000))
