"""Changelog-backed tables: recipients, contacts, KPIs."""
