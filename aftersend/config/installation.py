"""What an installation's settings mean for its sources and topics.

Imports neither Faust nor a client, so that a command that only asks something starts quickly.
"""

from __future__ import annotations

from aftersend.config.settings import Settings
from aftersend.errors import SettingsError
from aftersend.schemas.topics import TopicLayout, layouts
from aftersend.sources.base import Parser, SourceOptions
from aftersend.sources.registry import NUMBERS, REGISTRY


def source_numbers() -> dict[str, int]:
    """Return the numbers of all sources by name."""
    return dict(NUMBERS)


def raw_sources() -> tuple[str, ...]:
    """Return the names of the sources that have a raw topic, the clock excluded."""
    return tuple(REGISTRY)


def response_windows() -> dict[str, float]:
    """Return how long rows wait for an outcome, by source, where that is not the installation's default; seconds."""
    windows = {name: source.response_window_seconds for name, source in REGISTRY.items()}
    return {name: window for name, window in windows.items() if window is not None}


def source_options(settings: Settings) -> SourceOptions:
    """Return what the installation has set for its sources."""
    return SourceOptions(
        delivery_keys=settings.delivery_keys,
        message_type_keys=settings.message_type_keys,
        tenant_keys=settings.tenant_keys,
        test_keys=settings.test_keys,
        delivery_headers=settings.delivery_headers,
        campaign_from_queue=settings.campaign_from_queue,
        return_path=settings.return_path,
        unsubscribe_urls=settings.unsubscribe_urls,
    )


def parsers(settings: Settings) -> dict[str, Parser]:
    """Return the parser of every source, by its name.

    Raises:
        SettingsError: if the sources can't do with their settings.
    """
    if unknown := sorted(settings.raw_topics.keys() - {*REGISTRY, "clock"}):
        raise SettingsError(f"setting 'raw_topics' (AFTERSEND_RAW_TOPICS): there is no source {', '.join(unknown)}")
    options = source_options(settings)
    try:
        return {name: source.parser(options) for name, source in REGISTRY.items()}
    except ValueError as error:
        raise SettingsError(f"the settings of the sources (`delivery_keys` and what follows it): {error}") from error


def topic_layouts(settings: Settings) -> tuple[TopicLayout, ...]:
    """Return how every topic of the installation should be laid out."""
    return layouts(settings.topics, raw_sources(), settings.partitions, settings.raw_retention_days)


def foreign_topics(settings: Settings) -> frozenset[str]:
    """Return the topics that the installation shares with others, who say how they are laid out."""
    shared = {*settings.raw_topics.values(), settings.events_topic}
    return frozenset(shared - {""})
