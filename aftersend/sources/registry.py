"""Every source there is. A new one is its module and its line in `_SOURCES`."""

from __future__ import annotations

from typing import Final

from aftersend.sources.base import Source
from aftersend.sources.mta import kumomta
from aftersend.sources.own import operations, sender, tracking
from aftersend.sources.providers import sendgrid, ses

_SOURCES: Final = (
    kumomta.SOURCE,
    tracking.SOURCE,
    sendgrid.SOURCE,
    ses.SOURCE,
    operations.SOURCE,
    sender.SOURCE,
)

#: Numbers that are given, but not to a source in this list: 0 to what comes straight on the events topic, the last
#: one to the clock, others to sources that are planned.
RESERVED: Final = {"events": 0, "sendgrid": 2, "ses": 3, "clock": 63}

#: Numbers are packed into six bits of the rows' histories.
MAX_NUMBER: Final = 63


def _register(sources: tuple[Source, ...]) -> dict[str, Source]:
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
        # A planned source takes the number that is reserved for its name.
        if source.number in numbers.values() and numbers.get(source.name) != source.number:
            raise ValueError(f"the source {source.name} has the number {source.number}, which is given already")
        if numbers.get(source.name, source.number) != source.number:
            raise ValueError(f"the source {source.name} has a number already: {numbers[source.name]}")
        numbers[source.name] = source.number
    return {source.name: source for source in sources}


#: Sources by name.
REGISTRY: Final = _register(_SOURCES)

#: Numbers by name, reserved ones included, and names by number.
NUMBERS: Final = RESERVED | {source.name: source.number for source in _SOURCES}
NAMES: Final = {number: name for name, number in NUMBERS.items()}
