"""The settings page, `docs/reference/settings.md`, from the settings themselves."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Final, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from aftersend.config.settings import PREFIX, Settings

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

_INTRODUCTION: Final = f"""\
# Settings

This page is written from `aftersend/config/settings.py` by
`python -m aftersend.docgen.settings > docs/reference/settings.md`; a test keeps it current.

Every setting can be given, in this order of precedence, as

1. an environment variable: its name in capitals behind `{PREFIX}`, such as `{PREFIX}KAFKA_BOOTSTRAP=kafka:9092`;
2. the same in a file `.env` in the working directory; what does not begin with `{PREFIX}` is none of our business;
3. a line in a file `aftersend.toml` in the working directory, under its own name: `kafka_bootstrap = "kafka:9092"`.

Lists are separated by commas, or a JSON array (in TOML: a list); maps are a JSON object (in TOML: a table). All are
checked at start: a value that can't be, or a name that is none, ends the process with exit code 3 and a message that
names the setting. In the environment, where others put variables too, a name that looks like a slip of the pen is
logged as a warning. Times are in seconds and sizes in bytes unless the name says otherwise.
"""

_LIMITS: Final = {"ge": "at least {}", "gt": "more than {}", "le": "at most {}", "lt": "less than {}"}


def render() -> str:
    """Return the page."""
    lines = [_INTRODUCTION]
    for name, field in Settings.model_fields.items():
        if name in SECTIONS:
            lines += [f"\n## {SECTIONS[name]}\n", "| setting | default | meaning |", "| --- | --- | --- |"]
        meaning = " ".join(filter(None, (field.description, _allowed(field)))).replace("|", r"\|")
        lines.append(f"| `{name}` | {_default(field.default)} | {meaning} |")
    return "\n".join(lines) + "\n"


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


if __name__ == "__main__":
    sys.stdout.write(render())
