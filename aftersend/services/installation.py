"""Settings of an installation as its rules and tables need them: timing, alert thresholds, codec.

Imports neither Faust nor a client, so that commands start quickly.
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
    """Return the periods of the rules."""
    return timing(
        freeze=settings.statistics_update_period_days * DAY,
        retention=settings.retention_days * DAY,
        window=settings.response_window_hours * HOUR,
        windows=response_windows(),
        numbers=source_numbers(),
        clock_step=settings.clock_max_step,
    )


def alert_thresholds(settings: Settings) -> Thresholds:
    """Return the thresholds of alerts: a tenant's own, else those for all tenants, else the documented ones."""
    usual = _changed(THRESHOLDS, settings.alert_thresholds.get(ANY_TENANT, {}))
    own = {t: _changed(usual, given) for t, given in settings.alert_thresholds.items() if t != ANY_TENANT}
    return Thresholds(usual, own)


def _changed(base: tuple[Threshold, ...], given: Mapping[AlertName, AlertLimit]) -> tuple[Threshold, ...]:
    changes = {str(name): limit.model_dump(exclude_none=True) for name, limit in given.items()}
    return tuple(threshold._replace(**changes.get(threshold.name, {})) for threshold in base)


def codec(settings: Settings) -> Codec:
    """Return the codec of the changelogs."""
    return Codec(settings.topics, source_numbers())
