"""What an installation's settings mean for its sources, topics and codec: shared by the worker and the commands.

Imports neither Faust nor a client, so that a command that only asks something starts quickly.
"""

from __future__ import annotations

from collections.abc import Mapping

from engine.errors import SettingsError
from engine.settings import ANY_TENANT, AlertLimit, AlertName, Settings
from rules.timing import DAY, HOUR, Timing, timing
from rules.views.alerts import THRESHOLDS, Threshold, Thresholds
from schemas.topics import TopicLayout, layouts
from sources.base import Parser, SourceOptions
from sources.registry import NUMBERS, REGISTRY
from tables.codec import Codec


def source_numbers() -> dict[str, int]:
    """Return the numbers of all sources by name."""
    return dict(NUMBERS)


def fold_timing(settings: Settings) -> Timing:
    """Return the times that folding needs."""
    return timing(
        freeze=settings.statistics_update_period_days * DAY,
        retention=settings.retention_days * DAY,
        window=settings.response_window_hours * HOUR,
        numbers=source_numbers(),
    )


def alert_thresholds(settings: Settings) -> Thresholds:
    """Return what deliveries are alarmed of; what a tenant does not say is as for all, and else as documented."""
    usual = _changed(THRESHOLDS, settings.alert_thresholds.get(ANY_TENANT, {}))
    own = {t: _changed(usual, given) for t, given in settings.alert_thresholds.items() if t != ANY_TENANT}
    return Thresholds(usual, own)


def _changed(base: tuple[Threshold, ...], given: Mapping[AlertName, AlertLimit]) -> tuple[Threshold, ...]:
    said = {str(name): limit.model_dump(exclude_none=True) for name, limit in given.items()}
    return tuple(threshold._replace(**said.get(threshold.name, {})) for threshold in base)


def raw_sources() -> tuple[str, ...]:
    """Return the names of the sources that have a raw topic, the clock excluded."""
    return tuple(REGISTRY)


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
        message = f"setting 'raw_topics' (AFTERSEND_RAW_TOPICS): there is no source {', '.join(unknown)}"
        raise SettingsError(message)
    options = source_options(settings)
    try:
        return {name: source.parser(options) for name, source in REGISTRY.items()}
    except ValueError as error:
        message = f"the settings of the sources (`delivery_keys` and what follows it): {error}"
        raise SettingsError(message) from error


def topic_layouts(settings: Settings) -> tuple[TopicLayout, ...]:
    """Return how every topic of the installation should be laid out."""
    return layouts(settings.topics, raw_sources(), settings.partitions, settings.raw_retention_days)


def foreign_topics(settings: Settings) -> frozenset[str]:
    """Return the topics that the installation shares with others, who say how they are laid out."""
    shared = {*settings.raw_topics.values(), settings.events_topic}
    return frozenset(shared - {""})


def codec(settings: Settings) -> Codec:
    """Return what reads and writes the installation's changelogs."""
    return Codec(settings.topics, source_numbers())
