"""The domain: pure functions and data, without I/O and without a clock."""
