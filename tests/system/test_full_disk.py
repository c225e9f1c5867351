"""A full disk under RocksDB: the worker ends, its exit code says why, and it goes on once there is room."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from aftersend.errors import EXIT_DISK, EXIT_OK
from tests.system.chaos.installation import Installation
from tests.system.chaos.load import direct_events
from tests.system.chaos.small_disk import SmallDisk

#: Less than the rows take, more than a start takes.
_BYTES = 700_000
_EVENTS = 20_000


@pytest.fixture(params=["file system", "quota"])
def disk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[SmallDisk]:
    small = SmallDisk(tmp_path / "disk", _BYTES, mount=request.param == "file system")
    small.use()
    yield small
    small.remove()


async def test_a_worker_whose_disk_is_full_ends_with_its_own_code_and_goes_on_once_there_is_room(
    install: Callable[..., Installation], disk: SmallDisk
) -> None:
    installation = install(store="rocksdb", partitions=2)
    (worker,) = await installation.start(module=disk.module, data_dir=str(disk.folder / "data"))
    await installation.write(direct_events(installation.topics, _EVENTS, 3, time.time() - 3600, 2))

    assert EXIT_DISK == await worker.wait(), worker.tail(30)
    said = [json.loads(line) for line in worker.log().splitlines() if '"exit_code"' in line]
    assert [EXIT_DISK] == [line["exit_code"] for line in said]
    assert "Nothing is lost" in said[0]["event"]
    assert "ended by force" not in worker.log()

    if disk.mounted:  # nothing can be written from the start
        disk.fill()
        worker.start()
        assert EXIT_DISK == await worker.wait(), worker.tail(30)
    disk.extend()
    worker.start()
    report = await installation.finish()

    assert _EVENTS == report.events
    assert EXIT_OK == worker.exit_codes[-1]
