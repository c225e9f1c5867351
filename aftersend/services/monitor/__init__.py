"""Snapshots of an installation, and the rates between two of them."""
