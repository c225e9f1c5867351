"""Markdown from a template: prose in `templates`, with places that the code fills."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

_TEMPLATES: Final = Path(__file__).parent / "templates"
_PLACE: Final = re.compile(r"\{\{(.+?)\}\}")


def fill(name: str, parts: Mapping[str, str]) -> str:
    """Return a template with each `{{part}}` replaced.

    Args:
        name: of the template, without the suffix.
        parts: what replaces them, by name. Each must occur in the template.

    Raises:
        ValueError: if parts and places are not the same.
    """
    text = (_TEMPLATES / f"{name}.md").read_text(encoding="utf-8")
    places = set(_PLACE.findall(text))
    if places != parts.keys():
        raise ValueError(f"the template {name} and its parts differ in {sorted(places ^ parts.keys())}")
    return _PLACE.sub(lambda place: parts[place[1]], text)


def table(headings: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a Markdown table, without a line break at its end."""
    heading = list(headings)
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)
