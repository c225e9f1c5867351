"""The settings page, `docs/reference/settings.md`, from the settings themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from aftersend.config.sections import SECTIONS
from aftersend.config.types import PREFIX
from aftersend.docgen.template import fill, table

_LIMITS: Final = {"ge": "at least {}", "gt": "more than {}", "le": "at most {}", "lt": "less than {}"}


def render() -> str:
    """Return the page."""
    tables = (f"## {title}\n\n{_table(section)}" for title, section in SECTIONS.items())
    return fill("settings", {"prefix": PREFIX, "sections": "\n\n".join(tables)})


def _table(section: type[BaseModel]) -> str:
    rows = []
    for name, field in section.model_fields.items():
        meaning = " ".join(filter(None, (field.description, _allowed(field))))
        rows.append((f"`{name}`", _default(field.default), meaning))
    return table(("setting", "default", "meaning"), rows)


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
