"""Stores of rows, contacts and KPIs: in memory or in RocksDB."""
