"""What an installation's settings mean for its rules and tables: timing, alert thresholds, codec.

Imports neither Faust nor a client, so that a command that only asks something starts quickly.
"""

from __future__ import annotations

from collections.abc import Mapping

from aftersend.config.installation import response_windows, source_numbers
from aftersend.config.sections.alerts import ANY_TENANT, AlertLimit, AlertName
from aftersend.config.settings import Settings
from aftersend.rules.kpi.alerts import THRESHOLDS, Threshold, Thresholds
from aftersend.rules.recipient.timing import DAY, HOUR, Timing, timing
from aftersend.tables.codec.public import Codec


def fold_timing(settings: Settings) -> Timing:
    """Return the times that folding needs."""
    return timing(
        freeze=settings.statistics_update_period_days * DAY,
        retention=settings.retention_days * DAY,
        window=settings.response_window_hours * HOUR,
        windows=response_windows(),
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


def codec(settings: Settings) -> Codec:
    """Return what reads and writes the installation's changelogs."""
    return Codec(settings.topics, source_numbers())
