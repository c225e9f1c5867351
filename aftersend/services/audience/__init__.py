"""Audience of a delivery: reads a file of addresses, and writes the sender's events."""
