"""Faust made fast and safe: app factory, settings, batch transport, transactional writer, recovery, servers."""
