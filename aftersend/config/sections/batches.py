"""Settings of rebalances, transactions and batches."""

from __future__ import annotations

from pydantic import BaseModel, Field

from aftersend.config.types import MIB

#: A broker returns at least one batch whatever the limit; below this, fetching is nothing but overhead.
_MIN_FETCH_BYTES = 64 * 1024


class BatchSettings(BaseModel):
    """Rebalances, transactions and batches."""

    session_timeout: float = Field(
        30.0, gt=0, description="A worker without heartbeats for this time loses its partitions."
    )
    heartbeat_interval: float = Field(3.0, gt=0, description="Interval between a worker's heartbeats.")
    rebalance_timeout: float = Field(10.0, gt=0, description="Time that a rebalance waits for a member to rejoin.")
    transaction_timeout: float = Field(
        60.0,
        gt=0,
        description="A transaction fails after this time; at most the broker's limit, 15 minutes by default.",
    )
    request_timeout: float = Field(40.0, gt=0, description="Time that a broker has to answer a request.")
    max_batch_records: int = Field(
        20_000, ge=1, description="Records in one batch at most; each batch is one transaction."
    )
    max_fetch_bytes: int = Field(
        4 * MIB,
        ge=_MIN_FETCH_BYTES,
        description="Size of one fetch of events, of all partitions together. A larger fetch is faster and takes more "
        "memory.",
    )
    max_raw_fetch_bytes: int = Field(
        16 * MIB,
        ge=_MIN_FETCH_BYTES,
        description="Size of one fetch of raw records, of all partitions together; they are larger than events.",
    )
    check_crcs: bool = Field(default=True, description="Verify the checksum of fetched batches.")
    max_events_per_record: int = Field(
        10_000,
        ge=1,
        le=1_000_000,
        description="Events that one raw record may make. A record that makes more goes to the dead letters, whole.",
    )
    max_event_bytes_per_record: int = Field(
        16 * 1024 * 1024,
        ge=1024 * 1024,
        description="Bytes of encoded events that one raw record may make. A record that makes more goes to the dead "
        "letters, whole.",
    )
