"""What a check finds."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

Result = Literal["ok", "warning", "failed"]


class Finding(msgspec.Struct, frozen=True):
    """One thing that was looked at."""

    #: What was looked at, such as "Redis: eviction".
    check: str
    result: Result
    #: What was found.
    found: str
    #: What to do about it, with the setting's name; "": nothing.
    advice: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return what scripts read."""
        return msgspec.structs.asdict(self)


def ok(check: str, found: str) -> Finding:
    """Return that something is as it should be."""
    return Finding(check, "ok", found)


def warning(check: str, found: str, advice: str) -> Finding:
    """Return that something works, but is not as it should be."""
    return Finding(check, "warning", found, advice)


def failed(check: str, found: str, advice: str) -> Finding:
    """Return that something does not work."""
    return Finding(check, "failed", found, advice)
