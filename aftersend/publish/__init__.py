"""Sinks: live KPIs in Redis."""
