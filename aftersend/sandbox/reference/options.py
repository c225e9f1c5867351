"""The reference's options, from an installation's settings."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from aftersend.config.installation import response_windows, source_numbers
from aftersend.config.settings import Settings

_HOUR: Final = 3600.0
_DAY: Final = 24 * _HOUR


@dataclass(frozen=True, slots=True)
class ReferenceOptions:
    """An installation's settings; times in seconds."""

    freeze: float
    retention: float
    #: Response window, and by source if it differs.
    window: float
    windows: Mapping[str, float]
    #: Raw topics by source.
    raw_topics: Mapping[str, str]
    events_topic: str
    #: Policy by which hard bounces make an address invalid.
    address_validity: str = "five-in-a-row"
    #: A tick further ahead of the time than this leaps.
    clock_max_step: float = math.inf


def options_of(settings: Settings) -> ReferenceOptions:
    """Return the reference's options for an installation."""
    topics = settings.topics
    known = source_numbers()
    return ReferenceOptions(
        freeze=settings.statistics_update_period_days * _DAY,
        retention=settings.retention_days * _DAY,
        window=settings.response_window_hours * _HOUR,
        windows=response_windows(),
        raw_topics={name: topics.raw(name) for name, number in known.items() if number},  # 0: comes from no raw topic
        events_topic=topics.events,
        address_validity=settings.address_validity,
        clock_max_step=settings.clock_max_step,
    )
