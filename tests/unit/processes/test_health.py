"""Progress, judged from one look to the next."""

import pytest

from aftersend.engine.faust.probe import HealthProbe
from aftersend.engine.partitions.health import PartitionHealth, WorkerHealth
from aftersend.processes.health import StallDetector, ready

LIMIT = 120.0


class Time:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def stalls(time: Time) -> StallDetector:
    return StallDetector(LIMIT, time)


def partition(
    position: int | None = 100,
    *,
    delivered: int | None = 100,
    fetched: int | None = 100,
    end: int | None = 100,
    phase: str = "running",
) -> PartitionHealth:
    return PartitionHealth("events", 3, phase, position, delivered, fetched, end)


def worker(
    *partitions: PartitionHealth,
    assigned: bool = True,
    restoring: tuple[str, ...] = (),
    restored: int = 0,
    asked: int = 0,
    answered: int = 0,
) -> WorkerHealth:
    return WorkerHealth(assigned, list(restoring), restored, answered, asked, list(partitions))


def test_an_idle_worker_is_alive_for_ever(stalls: StallDetector, time: Time) -> None:
    for _ in range(3):
        assert stalls.live(worker(partition())).ok
        time.now += 10 * LIMIT


def test_transaction_markers_at_the_end_are_no_work(stalls: StallDetector, time: Time) -> None:
    """The last record is at 99, its transaction's end at 100: nobody will ever fold that."""
    view = worker(partition(100, delivered=100, fetched=101, end=101))

    assert stalls.live(view).ok
    time.now += 2 * LIMIT
    verdict = stalls.live(view)

    assert verdict.ok
    assert 0 == verdict.body["partitions"]["events-3"]["lag"]


def test_work_that_nobody_does(stalls: StallDetector, time: Time) -> None:
    view = worker(partition(100, delivered=100, fetched=100, end=150))

    assert stalls.live(view).ok
    time.now += LIMIT + 1
    verdict = stalls.live(view)

    assert not verdict.ok
    assert "events-3 has 50 records to go and committed nothing for 121 s" == verdict.reason


def test_work_that_got_lost_on_its_way(stalls: StallDetector, time: Time) -> None:
    """Everything is fetched, but what was fetched has never been folded."""
    view = worker(partition(100, delivered=150, fetched=150, end=150))

    stalls.live(view)
    time.now += LIMIT + 1

    assert not stalls.live(view).ok


def test_work_that_has_only_just_come(stalls: StallDetector, time: Time) -> None:
    """How long ago the last commit was says nothing: there was no work since."""
    stalls.live(worker(partition()))
    time.now += 10 * LIMIT

    assert stalls.live(worker(partition(end=150))).ok


def test_slow_work_is_progress(stalls: StallDetector, time: Time) -> None:
    for position in (100, 101, 102, 103):
        assert stalls.live(worker(partition(position, delivered=150, fetched=150, end=150))).ok
        time.now += LIMIT - 1


def test_one_partition_that_stands_still_among_others_that_move(stalls: StallDetector, time: Time) -> None:
    reasons = []
    for position in (1, 2, 3):
        moving = PartitionHealth("events", 4, "running", position, 50, 50, 50)
        reasons.append(stalls.live(worker(partition(end=150), moving)).reason)
        time.now += LIMIT * 0.7

    assert ["", ""] == reasons[:2]
    assert "events-3" in reasons[2]
    assert "events-4" not in reasons[2]


def test_a_restore_that_reads(stalls: StallDetector, time: Time) -> None:
    for restored in (10, 20, 30):
        assert stalls.live(worker(assigned=False, restoring=("events-3",), restored=restored)).ok
        time.now += LIMIT + 1


def test_a_restore_that_reads_nothing(stalls: StallDetector, time: Time) -> None:
    view = worker(assigned=False, restoring=("events-3",), restored=10)

    stalls.live(view)
    time.now += LIMIT + 1

    assert "the restore of events-3 has read nothing for 121 s" == stalls.live(view).reason


def test_a_group_that_assigns_nothing(stalls: StallDetector, time: Time) -> None:
    stalls.live(worker(assigned=False))
    time.now += LIMIT + 1

    assert "no assignment from the group for 121 s" == stalls.live(worker(assigned=False)).reason


def test_a_worker_for_whom_no_partition_is_left_is_alive(stalls: StallDetector, time: Time) -> None:
    stalls.live(worker())
    time.now += 10 * LIMIT

    assert stalls.live(worker()).ok


def test_a_thread_that_does_not_answer(stalls: StallDetector, time: Time) -> None:
    assert stalls.live(worker(asked=5, answered=4)).ok
    time.now += LIMIT + 1

    assert "the thread that talks to Kafka has not answered" in stalls.live(worker(asked=5, answered=4)).reason


def test_a_thread_that_answers_late(stalls: StallDetector, time: Time) -> None:
    stalls.live(worker(asked=5, answered=4))
    time.now += LIMIT + 1

    assert stalls.live(worker(asked=6, answered=5)).ok


def test_ready_with_all_partitions_in_hand() -> None:
    assert ready(worker(partition())).ok


def test_ready_without_any_partition() -> None:
    """More workers than partitions: the others are in reserve."""
    assert ready(worker()).ok


@pytest.mark.parametrize(
    "view, reason",
    [
        (worker(assigned=False), "waiting for an assignment from the group"),
        (worker(assigned=False, restoring=("events-3",)), "taking over events-3"),
        (worker(partition(phase="fenced")), "events-3 is fenced"),
        (worker(partition(phase="restoring")), "events-3 is restoring"),
        (worker(partition(phase="closed")), "events-3 is closed"),
    ],
)
def test_not_ready(view: WorkerHealth, reason: str) -> None:
    verdict = ready(view)

    assert not verdict.ok
    assert reason == verdict.reason


def test_a_probe_before_there_is_an_app() -> None:
    view = HealthProbe(lambda: None).measure()

    assert not ready(view).ok
    assert StallDetector(LIMIT, lambda: 0.0).live(view).ok
