"""The generated pages by their path in `docs/reference`, and the command that writes them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from aftersend.docgen import cli, metrics, names, schemas, settings, sources, topics

REFERENCE: Final = Path(__file__).parents[2] / "docs" / "reference"

#: File name -> what returns the page.
PAGES: Final[dict[str, Callable[[], str]]] = {
    "cli.md": cli.render,
    "metrics.md": metrics.render,
    "names.md": names.render,
    "settings.md": settings.render,
    "sources.md": sources.render,
    "topics.md": topics.render,
}


def render_all() -> dict[str, str]:
    """Return every generated file by its path in `docs/reference`."""
    pages = {name: render() for name, render in PAGES.items()}
    return pages | {f"schemas/{name}": text for name, text in schemas.documents().items()}


def write(directory: Path = REFERENCE) -> list[str]:
    """Write every generated file that is missing or out of date; return their paths in the directory."""
    changed = []
    for name, text in render_all().items():
        path = directory / name
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        changed.append(name)
    return changed
