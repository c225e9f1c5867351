"""Rows, contacts and KPIs as bytes: compact for the stores, JSON for the changelogs, and back."""
