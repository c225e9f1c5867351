"""Where a partition goes on."""

from __future__ import annotations

import asyncio

import pytest
from faust.types import TP

from aftersend.engine.aiokafka.offsets import UnstableOffsetError
from aftersend.engine.partitions.start import LogBounds, OffsetSlip, Slip, Start, StartFinder, choose_start
from tests.unit.engine.partitions.fakes import EVENTS, Broker

LOG = LogBounds(10, 100)


@pytest.mark.parametrize(
    "committed, position, log, start, slips",
    [
        pytest.param(None, None, LOG, 10, [], id="the first start"),
        pytest.param(40, None, LOG, 40, [], id="the first start of a version that writes positions"),
        pytest.param(40, 40, LOG, 40, [], id="as it should be"),
        pytest.param(100, 100, LOG, 100, [], id="at the end"),
        pytest.param(10, 40, LOG, 40, [(OffsetSlip.SET_BACK, 30)], id="the group was set back"),
        pytest.param(None, 40, LOG, 40, [(OffsetSlip.GROUP_LOST, 30)], id="the group was deleted"),
        pytest.param(50, 40, LOG, 50, [(OffsetSlip.SET_FORWARD, 10)], id="the group was set forward"),
        pytest.param(5, 5, LOG, 10, [(OffsetSlip.DELETED, 5)], id="records were deleted"),
        pytest.param(5, None, LOG, 10, [(OffsetSlip.DELETED, 5)], id="records were deleted before the first position"),
        pytest.param(
            None, 5, LOG, 10, [(OffsetSlip.GROUP_LOST, 0), (OffsetSlip.DELETED, 5)], id="a long time without workers"
        ),
        pytest.param(
            2, 5, LOG, 10, [(OffsetSlip.SET_BACK, 3), (OffsetSlip.DELETED, 5)], id="set back, and records deleted"
        ),
        pytest.param(120, 120, LOG, 100, [(OffsetSlip.TRUNCATED, 20)], id="the topic has lost its end"),
    ],
)
def test_what_was_processed_once_is_not_processed_again(
    committed: int | None, position: int | None, log: LogBounds, start: int, slips: list[tuple[OffsetSlip, int]]
) -> None:
    assert Start(start, tuple(Slip(*slip) for slip in slips)) == choose_start(committed, position, log)


async def test_an_end_that_is_reported_too_low_for_a_moment_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """As after the election of a new leader."""
    monkeypatch.setattr("aftersend.engine.partitions.start._POLL_SECONDS", 0.0)
    broker = Broker()
    broker.committed = 50
    ends = [40, 45, 60]

    async def bounds(_tp: TP) -> LogBounds:
        return LogBounds(0, ends.pop(0))

    assert Start(50) == await StartFinder(
        broker.offset, broker.position, bounds, broker.is_recreated, broker.slipped
    ).find(EVENTS)
    assert [] == broker.slips


async def test_an_offset_that_stays_unstable_holds_up_no_partition_with_a_position(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("aftersend.engine.partitions.start._STABLE_SECONDS", 0.01)
    broker = Broker()
    broker.written = 40

    async def never(_tp: TP) -> int | None:
        await asyncio.sleep(3600)
        raise AssertionError

    async def unstable(_tp: TP) -> int | None:
        raise UnstableOffsetError

    for committed in (never, unstable):
        finder = StartFinder(committed, broker.position, broker.bounds, broker.is_recreated, broker.slipped)
        assert Start(40) == await finder.find(EVENTS)
    assert [] == broker.slips


async def test_an_offset_that_stays_unstable_is_waited_for_without_a_position() -> None:
    broker = Broker()

    async def unstable(_tp: TP) -> int | None:
        raise UnstableOffsetError

    async def none(_topic: str, _partition: int) -> int | None:
        return None

    with pytest.raises(UnstableOffsetError):
        await StartFinder(unstable, none, broker.bounds, broker.is_recreated, broker.slipped).find(EVENTS)


async def test_a_topic_that_has_lost_its_end_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aftersend.engine.partitions.start._SETTLE_SECONDS", 0.0)
    broker = Broker()
    broker.committed, broker.log = 50, LogBounds(0, 30)
    slip = Slip(OffsetSlip.TRUNCATED, 20)
    finder = StartFinder(broker.offset, broker.position, broker.bounds, broker.is_recreated, broker.slipped)
    assert Start(30, (slip,)) == await finder.find(EVENTS)
    assert [(EVENTS.topic, slip)] == broker.slips


@pytest.mark.parametrize("end", [30, 80])
async def test_a_topic_that_was_created_again_under_a_worker_is_read_from_its_beginning(end: int) -> None:
    """Kafka deletes the group's offsets with a topic; the new one may be longer than the former one already."""

    async def nothing(_tp: TP) -> int | None:
        return None

    broker = Broker()
    broker.written, broker.log, broker.recreated = 50, LogBounds(0, end), {EVENTS.topic}
    finder = StartFinder(nothing, broker.position, broker.bounds, broker.is_recreated, broker.slipped)
    assert Start(0) == await finder.find(EVENTS)
    assert [] == broker.slips
