"""Quarantine: addresses with errors, and their release."""
