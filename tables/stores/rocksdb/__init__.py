"""The RocksDB store."""
