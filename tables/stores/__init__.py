"""Where rows are kept: in memory or in RocksDB."""
