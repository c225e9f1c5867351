"""Parsing that sources share."""
