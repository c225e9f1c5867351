"""Signature schemes that sources share."""
