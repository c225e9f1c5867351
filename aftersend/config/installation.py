"""Settings of an installation as its sources and topics need them.

Imports neither Faust nor a client, so that commands start quickly.
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
    """Return the names of the sources with a raw topic, without the clock."""
    return tuple(REGISTRY)


def response_windows() -> dict[str, float]:
    """Return the response windows of the sources with one of their own, in seconds."""
    windows = {name: source.response_window_seconds for name, source in REGISTRY.items()}
    return {name: window for name, window in windows.items() if window is not None}


def source_options(settings: Settings) -> SourceOptions:
    """Return the options of the sources."""
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
        SettingsError: if a setting of the sources is invalid.
    """
    if unknown := sorted(settings.raw_topics.keys() - {*REGISTRY, "clock"}):
        raise SettingsError(f"setting 'raw_topics' (AFTERSEND_RAW_TOPICS): there is no source {', '.join(unknown)}")
    options = source_options(settings)
    try:
        return {name: source.parser(options) for name, source in REGISTRY.items()}
    except ValueError as error:
        raise SettingsError(f"settings of the sources (docs/reference/settings.md): {error}") from error


def topic_layouts(settings: Settings) -> tuple[TopicLayout, ...]:
    """Return the layouts of all topics."""
    return layouts(settings.topics, raw_sources(), settings.partitions, settings.raw_retention_days)


def foreign_topics(settings: Settings) -> frozenset[str]:
    """Return the topics with names of their own, whose configuration belongs to others."""
    shared = {*settings.raw_topics.values(), settings.events_topic}
    return frozenset(shared - {""})
