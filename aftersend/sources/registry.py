"""Every source there is. A new one is its folder and its line in `_FOLDERS`."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from typing import Final

from aftersend.sources.base import Source

#: In this room; each holds a `SOURCE`.
_FOLDERS: Final = (
    "mta.kumomta",
    "own.tracking",
    "providers.sendgrid",
    "providers.ses",
    "own.operations",
    "own.sender",
    "providers.postmark",
)

#: Numbers that no source has: 0 is of events that come straight to the events topic, the last one of the clock.
RESERVED: Final = {"events": 0, "clock": 63}

#: Numbers are packed into six bits of the rows' histories.
MAX_NUMBER: Final = 63


def _register(sources: Iterable[Source]) -> dict[str, Source]:
    """Return the sources by name.

    Raises:
        ValueError: if a name or number is given twice, or a number is out of range.
    """
    numbers = dict(RESERVED)
    for source in sources:
        if not 0 < source.number < MAX_NUMBER:
            raise ValueError(
                f"the source {source.name} has the number {source.number}, which is not in 1..{MAX_NUMBER - 1}"
            )
        if source.number in numbers.values():
            raise ValueError(f"the source {source.name} has the number {source.number}, which is given already")
        if source.name in numbers:
            raise ValueError(f"the source {source.name} has a number already: {numbers[source.name]}")
        numbers[source.name] = source.number
    return {source.name: source for source in sources}


def _source_of(folder: str) -> Source:
    source: Source = import_module(f"aftersend.sources.{folder}").SOURCE
    return source


#: Sources by name.
REGISTRY: Final = _register([_source_of(folder) for folder in _FOLDERS])

#: Numbers by name, reserved ones included, and names by number.
NUMBERS: Final = RESERVED | {source.name: source.number for source in REGISTRY.values()}
NAMES: Final = {number: name for name, number in NUMBERS.items()}

#: Sources for which a token in the path is enough.
TOKEN_SOURCES: Final = tuple(source.name for source in REGISTRY.values() if source.token_suffices)
