"""Values of fields that providers spell now one way and now another: numbers as strings, strings as numbers."""

from __future__ import annotations

import math
from typing import Any, Final

from aftersend.sources.parsing.times import check_seconds, rfc3339

_MAX_DIGITS: Final = 40


def text(value: object) -> str:
    """Return a string, or a number as one; "" for anything else."""
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return ""


def flag(value: object) -> bool | None:
    """Return whether a flag is set; None if nothing says."""
    if isinstance(value, str):
        return {"true": True, "1": True, "false": False, "0": False}.get(value.strip().lower())
    return value == 1 if isinstance(value, int) else None


def mapping(value: object) -> dict[str, Any]:
    """Return a JSON object; an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def sequence(value: object) -> list[Any]:
    """Return a JSON array; one of a single value for anything else; an empty one for null."""
    if isinstance(value, list):
        return value
    return [] if value is None else [value]


def seconds(value: object) -> float:
    """Return a time in seconds since 1970, 0.0 for none.

    Args:
        value: a number, a number as a string, or a time as RFC 3339 has it.

    Raises:
        SourceError: if it is none of these, or no time between 1970 and 9999.
    """
    if value is None or value == "":
        return 0.0
    number = math.nan
    if isinstance(value, str) and len(value) <= _MAX_DIGITS:
        try:
            number = float(value)
        except ValueError:
            return rfc3339(value.strip())
    elif isinstance(value, int | float) and not isinstance(value, bool):
        number = value
    check_seconds(number, value)
    return float(number)
