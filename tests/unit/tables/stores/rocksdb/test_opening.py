"""A machine that is short of something costs no store: only damage does."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from aftersend.schemas.kpi import KpiPartial
from aftersend.tables.stores.base import Changes
from aftersend.tables.stores.rocksdb.opening import StoreUnusableError
from aftersend.tables.stores.rocksdb.options import are_too_few, open_files_of_partition
from aftersend.tables.stores.rocksdb.store import open_stores
from tests.paths import ROOT

OFFSETS = {"feedback.status": 7}
#: Opens the store again and again while it lacks something; prints what came of it.
OPENING = """
import os, pathlib, resource, sys
from aftersend.tables.stores.rocksdb.opening import StoreUnusableError
from aftersend.tables.stores.rocksdb.store import open_stores

directory = pathlib.Path(sys.argv[1])
hard = resource.getrlimit(resource.{limit})[1]
for number in {numbers}:
    resource.setrlimit(resource.{limit}, ({first} + number, hard))
    try:
        store = open_stores(directory, 8, 12.0)(0)
    except StoreUnusableError as error:
        print("unusable", error)
    else:
        print(store.offsets())
        store.close()
"""


def open_short_of(limit: str, numbers: str, first: str, directory: Path) -> list[str]:
    script = textwrap.dedent(OPENING).format(limit=limit, numbers=numbers, first=first)
    done = subprocess.run(
        [sys.executable, "-c", script, str(directory)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "thrown away" not in done.stdout + done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    "limit, numbers, first, advice",
    [
        ("RLIMIT_NOFILE", "range(0, 40)", "len(os.listdir('/dev/fd'))", "ulimit -n"),
        ("RLIMIT_FSIZE", "(1, 100, 1000, 10_000)", "0", "has room"),
    ],
    ids=["files", "room"],
)
def test_a_store_outlives_a_machine_without_files_or_room(
    tmp_path: Path, limit: str, numbers: str, first: str, advice: str
) -> None:
    store = open_stores(tmp_path, 8, 12.0)(0)
    store.apply(Changes({"d": {f"{i}": os.urandom(300) for i in range(500)}}, {}, {"d": KpiPartial()}), OFFSETS)
    store.close()

    said = open_short_of(limit, numbers, first, tmp_path)
    refused = [line for line in said if line.startswith("unusable")]

    assert {*said} - {*refused} <= {str(OFFSETS)}
    assert refused
    assert all(advice in line and "Nothing is lost" in line for line in refused)
    store = open_stores(tmp_path, 8, 12.0)(0)
    assert OFFSETS == store.offsets()
    assert 500 == len(store.scan("d", None, 1000))
    store.close()


def test_a_store_that_could_not_write_closes_all_the_same(tmp_path: Path) -> None:
    script = """
import os, pathlib, resource, sys
from aftersend.tables.stores.base import Changes
from aftersend.tables.stores.rocksdb.opening import StoreUnusableError
from aftersend.tables.stores.rocksdb.store import open_stores

store = open_stores(pathlib.Path(sys.argv[1]), 8, 12.0)(0)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    for number in range(100):
        store.apply(Changes({"d": {str(number): os.urandom(10_000)}}), {"t": number})
except StoreUnusableError:
    store.close()
    print("closed")
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert "closed" in done.stdout
    store = open_stores(tmp_path, 8, 12.0)(0)
    assert store.offsets()["t"] < 100
    store.close()


def test_a_directory_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "partition-0").write_text("not a directory")

    with pytest.raises(StoreUnusableError, match="data_dir"):
        open_stores(tmp_path, 8, 12.0)(0)


@pytest.mark.parametrize(
    "limit, partitions, files, few",
    [(1_048_576, 8, 48, False), (4096, 32, 48, False), (1024, 8, 48, False), (1024, 16, 22, False), (256, 8, 20, True)],
)
def test_the_files_of_a_partition_are_its_share_of_the_limit(
    limit: int, partitions: int, files: int, few: bool
) -> None:
    assert (files, few) == (open_files_of_partition(limit, partitions), are_too_few(limit, partitions))
