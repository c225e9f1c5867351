"""Writes what fixtures become that have no expected events yet: `python -m tests.conformance.expect SOURCE`.

What it writes is what the parser does, not what it should do: compare it with the provider's contract before it stays.
"""

from __future__ import annotations

import json
import sys

from aftersend.sources.registry import REGISTRY
from tests.conformance.sources import expected_path, fixtures_of, outcome_of


def main(name: str) -> None:
    """Write what is missing of a source."""
    source = REGISTRY[name]
    for fixture in fixtures_of(source):
        path = expected_path(fixture)
        if not path.exists():
            outcome = outcome_of(source, fixture.read_bytes())
            path.write_text(json.dumps(outcome, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
            sys.stdout.write(f"written, to be checked: {path}\n")


if __name__ == "__main__":
    main(sys.argv[1])
