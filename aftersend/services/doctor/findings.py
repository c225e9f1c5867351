"""Findings of a check."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

Result = Literal["ok", "warning", "failed"]


class Finding(msgspec.Struct, frozen=True):
    """One finding."""

    #: Name of the check, such as "Redis: eviction".
    check: str
    result: Result
    found: str
    #: What to do, with the name of a setting; "": nothing.
    advice: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the finding's part of `aftersend doctor --json`."""
        return msgspec.structs.asdict(self)


def ok(check: str, found: str) -> Finding:
    """Return a finding of something that is right."""
    return Finding(check, "ok", found)


def warning(check: str, found: str, advice: str) -> Finding:
    """Return a finding of something that works, but should be different."""
    return Finding(check, "warning", found, advice)


def failed(check: str, found: str, advice: str) -> Finding:
    """Return a finding of something that does not work."""
    return Finding(check, "failed", found, advice)
