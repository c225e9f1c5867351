"""What the RocksDB store must do beyond what every store does: survive its process, and know when it is of no use."""

import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from aftersend.errors import TransactionFailedError
from aftersend.schemas.event import FoldEvent
from aftersend.schemas.kpi import KpiPartial
from aftersend.tables.stores.base import Changes, PartitionStore
from aftersend.tables.stores.rocksdb import opening
from aftersend.tables.stores.rocksdb.opening import LAYOUT_KEY, StoreInUseError, StoreUnusableError
from aftersend.tables.stores.rocksdb.store import RocksStore, open_stores
from tests.paths import ROOT

Open = Callable[[int], PartitionStore]
HOUR = 3600.0

FULL = Changes({"d": {"a": b"row"}}, {"a": b"contact"}, {"d": KpiPartial({256: 1}, version=4)}, 60.0)
OFFSETS = {"feedback.status": 7, "feedback.kpis": 3}


class Clock:
    """A wall clock that stands still until it is set."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def open_at(tmp_path: Path, clock: Clock) -> Open:
    """Return the function that opens stores that live by `clock`, and are too old after 12 hours."""
    return open_stores(tmp_path / "stores", 8, 12.0, now=clock)


def fill(store: PartitionStore, offset: int = 7) -> None:
    """Fold one batch, as far as the store sees of it."""
    store.prefetch([FoldEvent("", "d", "a", "sent")])
    store.apply(FULL, OFFSETS | {"feedback.status": offset})


def reopened(store: PartitionStore, open_store: Open) -> PartitionStore:
    store.close()
    return open_store(0)


def damage(path: Path, pattern: str) -> None:
    """Overwrite the middle of every file that matches."""
    for file in path.glob(pattern):
        size = file.stat().st_size
        with file.open("r+b") as opened:
            opened.seek(size // 3)
            opened.write(b"\xff" * max(1, size // 3))


def test_everything_is_there_again_after_a_restart(open_store: Open) -> None:
    store = open_store(0)
    fill(store)
    store = reopened(store, open_store)

    assert b"row" == store.rows_of("d")("a")
    assert b"contact" == store.contact("a")
    assert KpiPartial({256: 1}, version=4) == store.partial("d")
    assert 60.0 == store.tick
    assert OFFSETS == store.offsets()
    store.close()


def test_partitions_keep_apart(open_store: Open) -> None:
    one, other = open_store(0), open_store(1)
    fill(one)

    assert {} == other.offsets()
    assert other.rows_of("d")("a") is None
    one.close()
    other.close()


def test_a_partition_can_go_and_come_back_in_one_process(open_store: Open) -> None:
    """Even if somebody still holds what the store gave out: RocksDB's lock must not outlive `close`."""
    store = open_store(0)
    store.apply(Changes(partials={f"d{i}": KpiPartial() for i in range(500)}), {})
    held = [store.partials(), store.rows_of("d"), store.scan("d", None, 1)]
    next(iter(held[0]))  # type: ignore[call-overload]
    again = reopened(store, open_store)

    assert 500 == len(list(again.partials()))
    again.close()


def test_a_directory_that_another_process_has_is_a_clear_error(open_store: Open, tmp_path: Path) -> None:
    store = open_store(0)
    code = textwrap.dedent(
        """
        import sys, pathlib
        from aftersend.tables.stores.rocksdb.store import open_stores
        open_stores(pathlib.Path(sys.argv[1]), 8, 12.0)(0)
        """
    )
    other = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "stores")], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert "StoreInUseError" in other.stderr
    assert "data_dir" in other.stderr
    with pytest.raises(StoreInUseError, match="partition-0 is in use"):
        open_store(0)
    fill(store)
    assert OFFSETS == store.offsets(), "its owner was not disturbed"
    store.close()


def test_a_directory_that_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(StoreUnusableError, match="data_dir"):
        open_stores(tmp_path / "file", 8, 12.0)(0)


# Age.


def test_state_that_is_too_old_is_thrown_away(open_at: Open, clock: Clock) -> None:
    """The changelogs may have forgotten what was deleted since."""
    store = open_at(0)
    fill(store)
    store.close()
    clock.now += 12 * HOUR + 1
    with capture_logs() as logs:
        store = open_at(0)

    assert {} == store.offsets()
    assert store.rows_of("d")("a") is None
    assert store.partial("d") is None
    assert 0.0 == store.tick
    assert any("12.0 hours ago" in entry.get("reason", "") for entry in logs)
    store.close()


def test_state_that_is_young_enough_is_kept(open_at: Open, clock: Clock) -> None:
    store = open_at(0)
    fill(store)
    store.close()
    clock.now += 12 * HOUR - 1
    store = open_at(0)

    assert OFFSETS == store.offsets()
    store.close()


def test_every_batch_makes_the_state_fresh_again(open_at: Open, clock: Clock) -> None:
    store = open_at(0)
    for _ in range(4):
        clock.now += 6 * HOUR
        fill(store)
    store = reopened(store, open_at)

    assert OFFSETS == store.offsets()
    store.close()


def test_what_a_restore_reads_does_not_make_the_state_fresh(open_at: Open, clock: Clock) -> None:
    """A restore that was broken off, again and again, has not seen the end of the changelogs."""
    store = open_at(0)
    for _ in range(4):
        clock.now += 4 * HOUR
        store.apply(FULL, OFFSETS)
        store = reopened(store, open_at)

    assert {} == store.offsets()
    store.close()


def test_a_worker_that_slept_does_not_make_the_state_fresh(open_at: Open, clock: Clock) -> None:
    """What it applies and closes on waking up is as old as its batch: others may have had the partition since."""
    store = open_at(0)
    store.prefetch([])
    clock.now += 13 * HOUR
    store.apply(FULL, OFFSETS)
    store = reopened(store, open_at)

    assert {} == store.offsets()
    store.close()


def test_state_from_the_future_is_thrown_away(open_at: Open, clock: Clock) -> None:
    clock.now += 1000 * HOUR
    store = open_at(0)
    fill(store)
    store.close()
    clock.now -= 1000 * HOUR
    store = open_at(0)

    assert {} == store.offsets()
    store.close()


def test_partitions_that_never_came_back_are_removed(tmp_path: Path) -> None:
    """Else a machine's disk would fill up with the state of partitions that are elsewhere now."""
    directory = tmp_path / "stores"
    for partition in (0, 1):
        open_stores(directory, 8, 12.0)(partition).close()
    held = open_stores(directory, 8, 12.0)(2)
    fill(held)
    for partition in (0, 2):
        for file in (directory / f"partition-{partition}").iterdir():
            os.utime(file, (0, 0))
        os.utime(directory / f"partition-{partition}", (0, 0))
    open_stores(directory, 8, 12.0)

    assert ["partition-1", "partition-2"] == sorted(path.name for path in directory.iterdir())
    assert b"row" == held.rows_of("d")("a"), "what is in use stays"
    held.close()


# Layout, identity, damage.


def test_state_in_another_layout_is_thrown_away(open_store: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(0)
    fill(store)
    store.close()
    monkeypatch.setattr(opening, "LAYOUT", b"another version's")
    with capture_logs() as logs:
        store = open_store(0)

    assert {} == store.offsets()
    assert any("version" in entry.get("reason", "") for entry in logs)
    store.close()


def test_state_of_another_installation_is_thrown_away(tmp_path: Path) -> None:
    store = open_stores(tmp_path, 8, 12.0, identity="cluster A")(0)
    fill(store)
    store = reopened(store, open_stores(tmp_path, 8, 12.0, identity="cluster A"))
    assert OFFSETS == store.offsets()

    store = reopened(store, open_stores(tmp_path, 8, 12.0, identity="cluster B"))
    assert {} == store.offsets()
    store.close()


def test_state_whose_maker_died_at_birth_is_thrown_away(open_store: Open) -> None:
    store = open_store(0)
    fill(store)
    assert isinstance(store, RocksStore)
    del store._database[LAYOUT_KEY]
    store = reopened(store, open_store)

    assert {} == store.offsets()
    store.close()


@pytest.mark.parametrize("pattern", ["MANIFEST-*", "CURRENT", "rocksdict-config.json", "OPTIONS-*"])
def test_a_database_that_cannot_be_opened_is_thrown_away(open_store: Open, tmp_path: Path, pattern: str) -> None:
    store = open_store(0)
    fill(store)
    store.close()
    damage(tmp_path / "stores" / "partition-0", pattern)
    with capture_logs() as logs:
        store = open_store(0)

    if store.offsets() != OFFSETS:  # RocksDB itself can do without some of them
        assert {} == store.offsets()
        assert store.rows_of("d")("a") is None
        assert "local state is thrown away, the changelogs restore it" in [entry["event"] for entry in logs]
    fill(store)
    assert OFFSETS == store.offsets()
    store.close()


def test_damage_that_shows_while_reading_is_thrown_away(open_store: Open, tmp_path: Path) -> None:
    """The partition is then restored, as after a failed transaction, without ending the worker."""
    store = open_store(0)
    store.apply(Changes({"d": {f"{i}": os.urandom(300) for i in range(2000)}}), OFFSETS)
    store = reopened(store, open_store)
    damage(tmp_path / "stores" / "partition-0", "*.sst")
    with pytest.raises(TransactionFailedError):
        store.prefetch([FoldEvent("", "d", f"{i}", "sent") for i in range(2000)])
    store = reopened(store, open_store)

    assert {} == store.offsets()
    assert [] == store.scan("d", None, 10)
    store.close()


def test_state_can_be_thrown_away_while_it_is_open(open_store: Open) -> None:
    """For a restore that finds other changelogs than those that the state came from."""
    store = open_store(0)
    fill(store)
    assert isinstance(store, RocksStore)
    store.clear("the changelog was made anew")

    assert {} == store.offsets()
    assert store.rows_of("d")("a") is None
    assert store.contact("a") is None
    assert store.partial("d") is None
    assert 0.0 == store.tick
    fill(store)
    store = reopened(store, open_store)
    assert OFFSETS == store.offsets()
    store.close()


# Atomicity.

WRITER = """
import sys, pathlib
from aftersend.schemas.event import FoldEvent
from aftersend.schemas.kpi import KpiPartial
from aftersend.tables.stores.rocksdb.store import open_stores
from aftersend.tables.stores.base import Changes
store = open_stores(pathlib.Path(sys.argv[1]), 8, 12.0)(0)
version = max(store.offsets().values(), default=0)
while True:
    version += 1
    value = b"%d" % version * 40
    names = [f"user{i}" for i in range(200)]
    store.prefetch([FoldEvent("", "d", name, "sent") for name in names])
    changed = dict.fromkeys(names, value)
    changes = Changes({"d": changed}, {"user1": value}, {"d": KpiPartial(version=version)}, float(version))
    store.apply(changes, {"status": version, "kpis": version})
    print(version, flush=True)
"""


@pytest.mark.slow
def test_kill_9_leaves_whole_batches_only(tmp_path: Path) -> None:
    """Rows, contacts, KPIs, tick and offsets are always those of one and the same batch, and no applied one is lost."""
    rng = random.Random(5)
    directory = tmp_path / "stores"
    applied = 0
    for _ in range(6):
        child = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(directory)], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        applied = int(child.stdout.readline())
        time.sleep(rng.uniform(0.05, 0.4))
        child.send_signal(signal.SIGKILL)
        actual = child.stdout.read().split("\n")[:-1]
        child.wait()
        child.stdout.close()
        applied = max([applied, *map(int, actual)])
        store = open_stores(directory, 8, 12.0)(0)
        (version,) = set(store.offsets().values())
        value = b"%d" % version * 40

        assert applied <= version <= applied + 1
        assert {value} == {row for _, row in store.scan("d", None, 1000)}
        assert value == store.contact("user1")
        assert KpiPartial(version=version) == store.partial("d")
        assert float(version) == store.tick
        applied = version
        store.close()
    assert applied > 6
