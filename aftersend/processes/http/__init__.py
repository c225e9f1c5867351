"""HTTP front of every process that listens: one server, one set of limits and timeouts."""
