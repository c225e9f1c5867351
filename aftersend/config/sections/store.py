"""Settings of the store that holds a worker's rows."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field


class StoreSettings(BaseModel):
    """The store of a worker's rows."""

    store: Literal["memory", "rocksdb"] = Field(
        "memory", description="Store of the rows: `memory` (fastest) or `rocksdb` (bounded memory, fast restart)."
    )
    data_dir: Path = Field(Path("data"), description="Folder of the RocksDB store's files.")
    rocksdb_cache_mib: int = Field(
        64, ge=8, description="Size of RocksDB's block cache, of all partitions together, MiB."
    )
    store_max_age_hours: float = Field(
        12.0,
        gt=0,
        lt=24.0,
        description="Local files last used before this time are dropped, and the partition is restored from Kafka, "
        "hours.",
    )
