"""What a partition has processed once it does not process again, whatever becomes of its consumer group."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import pytest

from tests.system.chaos import slips
from tests.system.chaos.installation import Input, Installation
from tests.system.chaos.workers import WorkerProcess

Install = Callable[..., Installation]
#: Of each recipient.
CLICKS = 40


def reported(installation: Installation, count: int, first: int = 0) -> list[Input]:
    """Return raw records of deliveries to as many recipients: each has clicked more often than a row remembers.

    So an event that is folded again counts again.
    """
    topic, now = installation.topics.raw("tracking"), time.time()
    return [
        Input(
            topic,
            0,
            None,
            json.dumps(
                {
                    "event": "click",
                    "delivery_id": "spring",
                    "recipient": f"r{n}@b.example",
                    "time": now,
                    "id": f"{n}-{i}",
                }
            ).encode(),
            int(now * 1000),
        )
        for n in range(first, first + count)
        for i in range(CLICKS)
    ]


def skipped(worker: WorkerProcess) -> dict[tuple[str, int, str], int]:
    """Return the offsets that a worker has said to leave out, by topic, partition and reason."""
    said = [json.loads(line) for line in worker.log().splitlines() if '"goes_on_at"' in line]
    return {(one["topic"], one["partition"], one["reason"]): one["offsets"] for one in said}


async def clicks(installation: Installation) -> int:
    """Return how many clicks were counted; what was deleted can't be compared with the reference."""
    code, said = await installation.command("kpi", "spring", "--json", "--from", "kafka")
    assert 0 == code, said
    return int(json.loads(said)["kpis"]["total_clicks"])


async def stop(worker: WorkerProcess) -> None:
    worker.terminate()
    assert 0 == await worker.wait()


@pytest.mark.slow
@pytest.mark.parametrize("slip", ["set back", "deleted"])
async def test_a_group_that_lost_its_offsets_counts_nothing_twice(install: Install, slip: str) -> None:
    installation = install(partitions=2)
    (worker,) = await installation.start()
    topics = installation.topics
    await installation.write(reported(installation, 20))
    await installation.await_caught_up()
    await stop(worker)

    if slip == "deleted":
        await slips.delete_group(installation)
    else:
        await slips.set_group_back(installation, [topics.raw("tracking"), topics.events])
    worker.start()
    await worker.await_assigned()
    reason = "group_lost" if slip == "deleted" else "set_back"
    left_out = skipped(worker)
    assert 20 * CLICKS == left_out[topics.raw("tracking"), 0, reason]
    of_events = sum(left_out[topics.events, p, reason] for p in range(2))
    assert 20 * CLICKS < of_events, "transaction markers and ticks have offsets, too"

    await installation.write(reported(installation, 5, first=20))
    report = await installation.finish()
    assert 25 * CLICKS == report.kpis["spring"]["total_clicks"]


@pytest.mark.slow
async def test_a_topic_that_was_created_again_is_read_from_its_beginning(install: Install) -> None:
    """Its offsets begin anew, so the positions of the former topic of that name say nothing."""
    installation = install(partitions=2)
    (worker,) = await installation.start()
    await installation.write(reported(installation, 5))
    await installation.await_caught_up()
    await stop(worker)

    await slips.recreate_topic(installation, installation.topics.raw("tracking"))
    await installation.write(reported(installation, 10, first=5))
    worker.start()
    await installation.await_caught_up()
    await stop(worker)
    assert {} == skipped(worker)
    assert 15 * CLICKS == await clicks(installation)


@pytest.mark.slow
async def test_records_that_were_deleted_before_they_were_read_are_counted(install: Install) -> None:
    installation = install(partitions=2)
    (worker,) = await installation.start()
    raw = installation.topics.raw("tracking")
    await installation.write(reported(installation, 2))
    await installation.await_caught_up()
    await stop(worker)

    await installation.write(reported(installation, 3, first=2))
    await slips.delete_records(installation, raw, 0, 4 * CLICKS)
    worker.start()
    await worker.await_assigned()
    await installation.await_caught_up()
    assert {(raw, 0, "deleted"): 2 * CLICKS} == skipped(worker)
    await stop(worker)
    assert 3 * CLICKS == await clicks(installation)


@pytest.mark.slow
async def test_records_that_are_deleted_under_a_running_worker_are_counted(install: Install) -> None:
    """A topic that is paused for longer than its retention; aiokafka goes on at the first record without a word."""
    installation = install(partitions=1, breaker_records=100, breaker_pause=3.0)
    (worker,) = await installation.start()
    raw, now = installation.topics.raw("tracking"), int(time.time() * 1000)
    await installation.write([Input(raw, 0, None, b"junk", now) for _ in range(200)])
    await worker.await_log("partition paused")

    await installation.write(reported(installation, 2))
    await slips.delete_records(installation, raw, 0, 200 + CLICKS)
    await worker.await_log("records were deleted before they were read")
    assert {(raw, 0, "deleted"): 200 + CLICKS} == skipped(worker)
    await stop(worker)
