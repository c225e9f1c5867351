"""The real records that are mutated."""

from __future__ import annotations

from aftersend.sources.registry import REGISTRY
from tests.conformance.sources import fixtures_of


def seeds_of(source: str) -> list[bytes]:
    """Return the real records that are mutated: whole fixtures, and the lines of those that are JSON lines."""
    records = []
    for path in fixtures_of(REGISTRY[source]):
        raw = path.read_bytes()
        lines = raw.splitlines()
        records += [raw] if len(lines) < 2 or not raw.startswith(b"{") or b"}\n{" not in raw else [raw, *lines]
    return records
