"""A campaign from injection to the last complaint, as the raw topics see it: out of order, repeated, late, broken."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from heapq import heappop, heappush
from typing import Final, NamedTuple

import msgspec

from aftersend.sandbox.simulation.deliveries import OLD_DELIVERY, delivery
from aftersend.sandbox.simulation.journeys import (
    BOUNCE,
    JOURNEYS,
    LATE_STEPS,
    NOT_SENT,
    OLD_STEPS,
    OPEN,
    RECEPTION,
    SHARED_STEPS,
    TEST_STEPS,
    Step,
)
from aftersend.sandbox.simulation.people import person
from aftersend.sandbox.simulation.simulators import DEFAULT, simulator
from aftersend.schemas.event import NOT_SENT_REASONS
from aftersend.schemas.raw import RawRecord
from aftersend.sources.own import tracking
from aftersend.sources.simulation.message import Message, SimulatedDelivery
from aftersend.sources.simulation.replies import REFUSALS

#: How often the provider's hiccup delivers one event, all in all (seen in real life, over 29 hours).
ECHOES: Final = 46

#: How long before the start the old delivery began: beyond the freeze of 30 days.
OLD_DAYS: Final = 35
_OLD_RECIPIENTS: Final = 18
#: Where the numbers of people begin who are not in the campaign's audience.
_OTHERS: Final = 10_000_000
_TESTERS: Final = 3
#: One message in so many goes to two recipients.
_SHARED_EVERY: Final = 400

_WEIGHTS: Final = [journey.weight for journey in JOURNEYS]
_REFUSAL_WEIGHTS: Final = [reply.weight for reply in REFUSALS]
#: Recipients who show, one each: every journey, every refusal, every reason for being left out.
_SHOWCASE: Final = (
    *((journey.steps, 0) for journey in JOURNEYS),
    *(((RECEPTION, BOUNCE), i) for i in range(len(REFUSALS))),
    *(((NOT_SENT,), i) for i in range(len(NOT_SENT_REASONS))),
)

#: The part of the run after a recipient's injection in which all of the rest happens to him.
_TAIL: Final = 0.6
_DAY: Final = 86_400.0


class Summary(msgspec.Struct):
    """What a simulation has yielded so far."""

    records: int = 0
    #: By step of the journeys (`reception`, `delivery`, …), each original once.
    steps: Counter[str] = msgspec.field(default_factory=Counter)
    duplicates: int = 0
    broken: int = 0
    unattributed: int = 0
    tests: int = 0
    late: int = 0
    #: The most records that were waiting for their time at once.
    most_waiting: int = 0
    first_ms: int = 0
    last_ms: int = 0


class _Waiting(NamedTuple):
    """A record that waits for its arrival; written only then, so that little is kept."""

    arrival: float
    #: Of equal arrivals the first planned comes first, and comparing ends here.
    serial: int
    message: Message | None
    step: str
    writer: str
    #: The number of attempts before, or of the step.
    number: int
    happened_at: float
    repeated: bool
    late: bool


def simulate_campaign(
    recipients: int,
    deliveries: int,
    seed: int,
    start: float,
    *,
    duration: float = 3 * 3600.0,
    duplicates: float = 0.03,
    broken: int = 3,
    unattributed: int = 5,
    window: int = 50_000,
    source: str = DEFAULT,
    summary: Summary | None = None,
) -> Iterator[RawRecord]:
    """Yield the raw records of a campaign in the order of their arrival; the same ones for the same arguments.

    Args:
        recipients: of all deliveries together, each in two of them if there are two; test messages and what comes of
            an older delivery are extra.
        deliveries: how many there are.
        seed: another seed, another campaign.
        start: when it begins, seconds since 1970. A delivery of 35 days before comes first, with records of then.
        duration: of the run, in seconds; everything that takes its time is pressed into it.
        duplicates: the share of records that come twice.
        broken: how many records can't be read.
        unattributed: how many records name no delivery.
        window: how many recipients may have something to come at once; bounds the memory, at the price that in a
            larger campaign things happen sooner after injection.
        source: who reports on it, a name in `simulators.SIMULATED`; together with the sender's own tracker, where it
            reports no opens and clicks. The records of a source that sends webhooks are single events, which are yet to
            be put into requests and signed; there is no older delivery then, since what comes over HTTP has arrived
            when it comes.
        summary: filled while records are yielded.

    Raises:
        ValueError: if there is no delivery.
    """
    if deliveries < 1:
        raise ValueError("a campaign has at least one delivery")
    run = _Run(random.Random(f"{seed} run"), summary or Summary(), duration, duplicates, source)
    over_http = run.simulator.webhook is not None
    suffix = source if over_http else ""
    tail = duration * _TAIL * min(1.0, window / max(1, recipients))
    if not over_http:
        yield from run.old_delivery(seed, start)
    run.odd_records(start, broken, unattributed)
    run.test_messages(seed, start, tail, [delivery(number, suffix) for number in range(deliveries)])
    for number in range(recipients):
        injected_at = start + (duration - tail) * number / recipients
        yield from run.until(injected_at)
        run.recipient(number, seed, _delivery_of(number, deliveries, suffix), injected_at, tail)
    yield from run.until(float("inf"))


def _delivery_of(number: int, deliveries: int, suffix: str) -> SimulatedDelivery:
    """Return the delivery of a recipient; two numbers in a row are one person, in two deliveries."""
    second = number % 2 and deliveries > 1
    return delivery((number // 2 + (1 + number // 2 % (deliveries - 1) if second else 0)) % deliveries, suffix)


class _Run:
    """One run: what waits to arrive."""

    def __init__(self, rng: random.Random, summary: Summary, duration: float, duplicates: float, source: str) -> None:
        self.source = source
        self.simulator = simulator(source)
        self.tracker = simulator(tracking.NAME)
        self.rng = rng
        self.summary = summary
        self.duration = duration
        self.duplicates = duplicates
        #: A short run has no time for long ways.
        self.pace = min(1.0, duration / 3600.0)
        self.waiting: list[_Waiting] = []
        self.serial = 0
        self.echoed = False

    def until(self, end: float) -> Iterator[RawRecord]:
        """Yield what arrives before a time."""
        waiting = self.waiting
        summary = self.summary
        summary.most_waiting = max(summary.most_waiting, len(waiting))
        while waiting and waiting[0].arrival < end:
            item = heappop(waiting)
            record = self._write(item)
            if record is not None:
                self._count(item, record)
                yield record

    def recipient(self, number: int, seed: int, sent: SimulatedDelivery, injected_at: float, tail: float) -> None:
        """Plan one recipient's journey."""
        if number < len(_SHOWCASE):
            steps, choice = _SHOWCASE[number]
        else:
            steps, choice = self.rng.choices(JOURNEYS, _WEIGHTS)[0].steps, number
        refusal = REFUSALS[choice] if number < len(_SHOWCASE) else self.rng.choices(REFUSALS, _REFUSAL_WEIGHTS)[0]
        companion = ""
        if number >= len(_SHOWCASE) and number % _SHARED_EVERY == 0:
            companion, steps = person(_OTHERS + number, seed).address, SHARED_STEPS
        message = Message(
            ident=f"{self.rng.getrandbits(128):032x}",
            delivery=sent,
            person=person(number // 2, seed),
            injected_at=injected_at,
            refusal=refusal,
            left_out=NOT_SENT_REASONS[choice % len(NOT_SENT_REASONS)],
            companion=companion,
        )
        self._plan(message, steps, injected_at, tail)

    def old_delivery(self, seed: int, start: float) -> Iterator[RawRecord]:
        """Yield the beginning of a delivery of weeks ago, and plan what comes of it when all is frozen."""
        began = start - OLD_DAYS * _DAY
        for number in range(_OLD_RECIPIENTS):
            message = self._message(_OTHERS - 1 - number, seed, OLD_DELIVERY, began + number)
            self._plan(message, OLD_STEPS, message.injected_at, 3600.0)
            step = LATE_STEPS[number % len(LATE_STEPS)]
            at = start + self.duration / 2 * number / _OLD_RECIPIENTS
            self._push(message, step, len(OLD_STEPS), at, late=True)
        yield from self.until(began + _DAY)

    def test_messages(self, seed: int, start: float, tail: float, deliveries: list[SimulatedDelivery]) -> None:
        """Plan each delivery's messages to those who check it."""
        for i, sent in enumerate(deliveries):
            for tester in range(_TESTERS):
                message = self._message(_OTHERS * 2 + tester, seed, sent, start + i / 10)._replace(test=True)
                self._plan(message, TEST_STEPS, message.injected_at, tail)

    def odd_records(self, start: float, broken: int, unattributed: int) -> None:
        """Plan records that can't be read and records that name no delivery, spread over the run."""
        for i in range(broken):
            at = start + self.duration * (i + 1) / (broken + 1)
            self.serial += 1
            heappush(self.waiting, _Waiting(at, self.serial, None, "", "", i, at, repeated=False, late=False))
        for i in range(unattributed):
            at = start + self.duration * (i + 1) / (unattributed + 1)
            message = self._message(_OTHERS * 3 + i, 0, OLD_DELIVERY, at)._replace(attributed=False)
            self._push(message, (RECEPTION, BOUNCE, OPEN)[i % 3], 0, at)

    def _message(self, number: int, seed: int, sent: SimulatedDelivery, injected_at: float) -> Message:
        return Message(
            ident=f"{self.rng.getrandbits(128):032x}",
            delivery=sent,
            person=person(number, seed),
            injected_at=injected_at,
            refusal=REFUSALS[0],
            left_out=NOT_SENT_REASONS[0],
        )

    def _plan(self, message: Message, steps: tuple[Step, ...], start: float, tail: float) -> None:
        """Put a journey's records into the queue, so that the last one happens before the tail is over."""
        offsets = []
        offset = 0.0
        for step in steps:
            offset += step.at_least + self.rng.expovariate(1 / step.mean)
            offsets.append(offset)
        scale = min(1.0, tail / offset)
        attempts = 0
        for number, (step, offset) in enumerate(zip(steps, offsets, strict=True)):
            count = number if step.writer == "tracker" else attempts
            self._push(message, step, count, start + offset * scale)
            attempts += step.name in {"deferral", "delivery", "bounce"}

    def _push(self, message: Message, step: Step, number: int, at: float, *, late: bool = False) -> None:
        """Queue a record for when it arrives, and some of them again."""
        # A log takes its time, and at times much of it; so events of one recipient overtake each other.
        mean = 60.0 if self.rng.random() < 0.05 else 1.0
        arrival = at + self.rng.expovariate(1 / mean) * self.pace
        again: list[float] = []
        if self.rng.random() < self.duplicates:
            again.append(arrival + self.rng.expovariate(1 / 30) * self.pace)
        if step is OPEN and message.attributed and not (self.echoed or message.test or late):
            self.echoed = True
            again = [arrival + self.duration * i / ECHOES for i in range(1, ECHOES)]
        for repeated, moment in enumerate((arrival, *again)):
            self.serial += 1
            item = _Waiting(
                moment, self.serial, message, step.name, step.writer, number, at, repeated=repeated > 0, late=late
            )
            heappush(self.waiting, item)

    def _write(self, item: _Waiting) -> RawRecord | None:
        arrival_ms = int(item.arrival * 1000)
        message, source, writer = item.message, self.source, self.simulator
        if message is None:
            return RawRecord(source, writer.broken(item.number, item.happened_at), None, arrival_ms)
        if item.writer == "tracker" and not writer.tracks:
            source, writer = tracking.NAME, self.tracker
        value = writer.write(message, item.step, item.number, item.happened_at)
        # A tracker writes what concerns one recipient to one partition.
        key = message.person.tracked.encode() if source == tracking.NAME else None
        return None if value is None else RawRecord(source, value, key, arrival_ms)

    def _count(self, item: _Waiting, record: RawRecord) -> None:
        summary = self.summary
        summary.records += 1
        summary.first_ms = summary.first_ms or record.timestamp_ms
        summary.last_ms = record.timestamp_ms
        if item.message is None:
            summary.broken += 1
        elif item.repeated:
            summary.duplicates += 1
        else:
            summary.steps[item.step] += 1
            summary.unattributed += not item.message.attributed
            summary.tests += item.message.test
            summary.late += item.late
