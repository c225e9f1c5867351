"""How RocksDB is set up: what it may take of memory, files and CPU, for all partitions of a process together."""

from __future__ import annotations

from typing import Final

from rocksdict import (
    BlockBasedIndexType,
    BlockBasedOptions,
    Cache,
    DBCompressionType,
    DBRecoveryMode,
    Options,
    WriteBufferManager,
)

_MIB: Final = 1024 * 1024
#: One buffer of one partition; when it is full it becomes a file.
_WRITE_BUFFER: Final = 16 * _MIB
#: All write buffers of the process: when they come near it, the partition that writes flushes its own early.
_ALL_WRITE_BUFFERS: Final = 64 * _MIB
_BLOCK_BYTES: Final = 8 * 1024
_BLOOM_BITS: Final = 10
#: Table files that a partition keeps open at most; a process may have dozens of partitions.
_OPEN_FILES: Final = 48
#: RocksDB takes no smaller number.
_LEAST_OPEN_FILES: Final = 20
#: Files that a partition has open besides: log, manifest, lock, write-ahead logs, and those of a compaction.
_OTHER_FILES: Final = 10
_WAL_BYTES: Final = 64 * _MIB
_LOG_BYTES: Final = 1 * _MIB


def open_files_of_partition(limit: int, partitions: int) -> int:
    """Return how many table files each partition may keep open.

    Args:
        limit: of the process' open files. Half of it is RocksDB's, the rest is for connections.
        partitions: that the process may get at most.
    """
    share = limit // 2 // max(1, partitions) - _OTHER_FILES
    return max(_LEAST_OPEN_FILES, min(_OPEN_FILES, share))


def are_too_few(limit: int, partitions: int) -> bool:
    """Return whether a process may run out of files if it gets all partitions, however few tables each keeps open."""
    return limit // 2 < partitions * (_LEAST_OPEN_FILES + _OTHER_FILES)


class Shared:
    """The memory that all partitions of a process share.

    Args:
        cache_mib: for blocks, indexes and filters, MiB.
        open_files: table files that each partition keeps open at most.
    """

    def __init__(self, cache_mib: int, open_files: int = _OPEN_FILES) -> None:
        self._open_files = open_files
        self._cache = Cache(cache_mib * _MIB)
        self._buffers = WriteBufferManager(_ALL_WRITE_BUFFERS, allow_stall=False)

    def options(self) -> Options:
        """Return the options of one partition's database."""
        table = BlockBasedOptions()
        table.set_block_cache(self._cache)
        table.set_block_size(_BLOCK_BYTES)
        table.set_format_version(5)
        # Filter and index of every file in the cache, in parts that come and go: else they would grow with the rows.
        table.set_bloom_filter(_BLOOM_BITS, block_based=False)
        table.set_cache_index_and_filter_blocks(v=True)
        table.set_index_type(BlockBasedIndexType.two_level_index_search())
        table.set_partition_filters(size=True)
        table.set_pin_top_level_index_and_filter(v=True)
        table.set_pin_l0_filter_and_index_blocks_in_cache(v=True)

        options = Options(raw_mode=True)
        options.create_if_missing(create_if_missing=True)
        options.set_block_based_table_factory(table)
        options.set_write_buffer_manager(self._buffers)
        options.set_write_buffer_size(_WRITE_BUFFER)
        options.set_max_write_buffer_number(2)
        # Most look-ups of the write buffers are for rows that are not in them.
        options.set_memtable_prefix_bloom_ratio(0.05)
        options.set_memtable_whole_key_filtering(whole_key_filter=True)
        # What is young is rewritten soon; what is old and lies deeper is worth the CPU of compressing it.
        none, lz4 = DBCompressionType.none(), DBCompressionType.lz4()
        options.set_compression_per_level([none, none, lz4, lz4, lz4, lz4, lz4])
        options.set_level_compaction_dynamic_level_bytes(v=False)
        options.set_max_background_jobs(2)
        options.set_max_open_files(self._open_files)
        options.set_max_total_wal_size(_WAL_BYTES)
        # A crash of the machine may cut off the last writes, never something in the middle: offsets go with their rows.
        options.set_wal_recovery_mode(DBRecoveryMode.point_in_time())
        options.set_max_log_file_size(_LOG_BYTES)
        options.set_keep_log_file_num(2)
        options.set_stats_dump_period_sec(0)
        options.set_stats_persist_period_sec(0)
        options.set_skip_stats_update_on_db_open(skip=True)
        return options
