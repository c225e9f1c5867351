"""Where a partition goes on: what the consumer group says, checked against the partition's own position and its topic.

The group's offset is data that anybody with an administrator's tool can change, and that expires. The position that
each transaction writes (`aftersend.engine.positions`) is not. What was processed once is not processed again.
"""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

import structlog
from faust.types import TP

from aftersend.engine.aiokafka.offsets import UnstableOffsetError

log = structlog.get_logger(__name__)

#: After a new leader was elected, the end of a partition may be reported too low for a moment, seconds.
_SETTLE_SECONDS: Final = 10.0
_POLL_SECONDS: Final = 0.5
#: How long the group's offset is waited for where the partition has a position of its own, seconds.
_STABLE_SECONDS: Final = 10.0


class OffsetSlip(enum.Enum):
    """A reason for which a partition does not go on where its consumer group stands."""

    #: The group's offset is before the partition's position.
    SET_BACK = "set_back"
    #: The group has no offset, though the partition was processed.
    GROUP_LOST = "group_lost"
    #: The group's offset is after the partition's position: records were left out.
    SET_FORWARD = "set_forward"
    #: The topic has deleted records that were not processed.
    DELETED = "deleted"
    #: The topic ends before the position: it has lost records that were processed.
    TRUNCATED = "truncated"


class Slip(NamedTuple):
    """What was noticed of one partition."""

    kind: OffsetSlip
    #: Between the place where the partition would have gone on, and the one where it does. Transaction markers and
    #: compacted records have offsets, too, so there may be fewer records.
    offsets: int


class LogBounds(NamedTuple):
    """First offset and end of a partition's log, as far as it is committed."""

    first: int
    end: int


class Start(NamedTuple):
    """Where a partition goes on, and what was noticed."""

    offset: int
    slips: tuple[Slip, ...] = ()


def choose_start(committed: int | None, position: int | None, bounds: LogBounds) -> Start:
    """Return where a partition goes on.

    Args:
        committed: the group's offset; None: it has none.
        position: the partition's own; None: it has none, as before the first batch.
        bounds: of the partition's log.
    """
    slips: list[Slip] = []
    if position is None:
        start = bounds.first if committed is None else committed
    elif committed is None:
        start = position
        slips.append(Slip(OffsetSlip.GROUP_LOST, max(0, position - bounds.first)))
    else:
        start = max(committed, position)
        if committed != position:
            kind = OffsetSlip.SET_BACK if committed < position else OffsetSlip.SET_FORWARD
            slips.append(Slip(kind, abs(position - committed)))
    if start < bounds.first:
        slips.append(Slip(OffsetSlip.DELETED, bounds.first - start))
        start = bounds.first
    elif start > bounds.end:
        slips.append(Slip(OffsetSlip.TRUNCATED, start - bounds.end))
        start = bounds.end
    return Start(start, tuple(slips))


_MESSAGES: Final = {
    OffsetSlip.SET_BACK: "the consumer group was set back: what was processed is not counted again",
    OffsetSlip.GROUP_LOST: "the consumer group has lost its offset: the partition goes on where it stood",
    OffsetSlip.SET_FORWARD: "the consumer group was set forward: the records in between are left out",
    OffsetSlip.DELETED: "records were deleted before they were read: they are not counted",
    OffsetSlip.TRUNCATED: "the topic has lost records that were processed: the partition goes on at its end",
}


class StartFinder:
    """Finds where partitions go on, and says what was noticed.

    Args:
        committed: returns the group's stable offset of a partition; None: it has none.
        position: returns the partition's own position; None: it has none.
        bounds: returns the bounds of the partition's log.
        is_recreated: returns whether a topic was deleted and created again while this worker runs.
        observe: counts what was noticed of a topic.
    """

    def __init__(
        self,
        committed: Callable[[TP], Awaitable[int | None]],
        position: Callable[[str, int], Awaitable[int | None]],
        bounds: Callable[[TP], Awaitable[LogBounds]],
        is_recreated: Callable[[str], Awaitable[bool]],
        observe: Callable[[str, Slip], None],
    ) -> None:
        self._committed = committed
        self._position = position
        self._bounds = bounds
        self._is_recreated = is_recreated
        self._observe = observe

    async def find(self, tp: TP) -> Start:
        """Return where a partition goes on that was just taken over; its former owner is fenced."""
        position = await self._position(*tp)
        if position is None:
            committed = await self._committed(tp)
        else:
            committed = await self._stable_or(tp, position)
        return await self._settle(tp, committed, position)

    async def _stable_or(self, tp: TP, position: int) -> int | None:
        """Return the group's offset, or the position where the offset stays unstable: it is enough.

        After the loss of a broker, the group coordinator may call an offset unstable for longer than the transaction
        that it waits for. The position is that of the last transaction of the fenced owner, whose end came first.
        """
        try:
            async with asyncio.timeout(_STABLE_SECONDS):
                return await self._committed(tp)
        except (TimeoutError, UnstableOffsetError) as error:
            log.warning(
                "the consumer group has no stable offset yet: the partition goes on at its position",
                topic=tp.topic,
                partition=tp.partition,
                position=position,
                error=repr(error),
            )
            return position

    async def revise(self, tp: TP, offset: int) -> Start:
        """Return where a partition goes on whose next offset Kafka may no longer have."""
        return await self._settle(tp, offset, offset)

    async def _settle(self, tp: TP, committed: int | None, position: int | None) -> Start:
        waited = 0.0
        while True:
            bounds = await self._bounds(tp)
            start = choose_start(committed, position, bounds)
            kinds = {slip.kind for slip in start.slips}
            # Both are also what a new topic of the same name looks like.
            if kinds & {OffsetSlip.GROUP_LOST, OffsetSlip.TRUNCATED} and await self._is_recreated(tp.topic):
                log.warning("the topic was created again and is read from its beginning", topic=tp.topic)
                return Start(bounds.first)
            if OffsetSlip.TRUNCATED not in kinds or waited >= _SETTLE_SECONDS:
                break
            await asyncio.sleep(_POLL_SECONDS)
            waited += _POLL_SECONDS
        for slip in start.slips:
            self._observe(tp.topic, slip)
            log.error(
                _MESSAGES[slip.kind],
                topic=tp.topic,
                partition=tp.partition,
                reason=slip.kind.value,
                offsets=slip.offsets,
                committed=committed,
                position=position,
                goes_on_at=start.offset,
            )
        return start
