"""Both stores behind one fixture, so that every test of the interface runs with each, and a partition in either."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from aftersend.tables.stores.base import PartitionStore
from aftersend.tables.stores.memory import MemoryStore
from aftersend.tables.stores.rocksdb.store import open_stores
from tests.unit.tables.factories import Partition


@pytest.fixture(params=["memory", "rocksdb"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[PartitionStore]:
    made = MemoryStore() if request.param == "memory" else open_stores(tmp_path / "store", 8, 12.0)(0)
    yield made
    made.close()


@pytest.fixture
def partition(store: PartitionStore) -> Partition:
    return Partition(store)


@pytest.fixture
def open_store(tmp_path: Path) -> Callable[[int], PartitionStore]:
    """Return the function that opens RocksDB stores in one directory."""
    return open_stores(tmp_path / "stores", 8, 12.0)
