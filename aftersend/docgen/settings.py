"""The settings page, `docs/reference/settings.md`, from the settings themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from aftersend.config.settings import PREFIX, Settings
from aftersend.docgen.template import fill, table

#: The first setting of each section, as they stand in `Settings`.
SECTIONS: Final = {
    "app_id": "Group",
    "kafka_bootstrap": "Kafka",
    "topic_prefix": "Topics",
    "session_timeout": "Rebalances, transactions and batches",
    "redis_url": "Redis",
    "store": "Store",
    "statistics_update_period_days": "Time",
    "alert_thresholds": "Alerts",
    "delivery_keys": "Sources",
    "breaker_share": "Breaker",
    "web_host": "Health",
    "advertised_url": "Query API",
    "gateway_host": "Gateway",
    "log_level": "Logging",
}

_LIMITS: Final = {"ge": "at least {}", "gt": "more than {}", "le": "at most {}", "lt": "less than {}"}


def render() -> str:
    """Return the page."""
    sections: list[tuple[str, list[tuple[str, str, str]]]] = []
    for name, field in Settings.model_fields.items():
        if name in SECTIONS:
            sections.append((SECTIONS[name], []))
        meaning = " ".join(filter(None, (field.description, _allowed(field))))
        sections[-1][1].append((f"`{name}`", _default(field.default), meaning))
    tables = (f"## {title}\n\n{table(('setting', 'default', 'meaning'), rows)}" for title, rows in sections)
    return fill("settings", {"prefix": PREFIX, "sections": "\n\n".join(tables)})


def _default(value: Any) -> str:
    if value is None or value in ("", {}):
        return "none"
    if isinstance(value, tuple):
        value = ",".join(value)
    elif isinstance(value, bool):
        value = str(value).lower()
    elif isinstance(value, Path):
        value = value.as_posix()
    elif isinstance(value, float):
        value = f"{value:g}"
    return f"`{value}`"


def _allowed(field: FieldInfo) -> str:
    """Return in words what a setting may be."""
    if get_origin(field.annotation) is Literal:
        return f"One of {', '.join(f'`{choice}`' for choice in get_args(field.annotation))}."
    limits = []
    for constraint in field.metadata:
        for attribute, words in _LIMITS.items():
            value = getattr(constraint, attribute, None)
            if value is not None:
                limits.append(words.format(f"{value:,}" if isinstance(value, int) else f"{value:g}"))
    sentence = ", ".join(limits)
    return f"{sentence[0].upper()}{sentence[1:]}." if sentence else ""
