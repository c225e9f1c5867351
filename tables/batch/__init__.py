"""Folding one batch of events into rows, contacts and KPIs."""
