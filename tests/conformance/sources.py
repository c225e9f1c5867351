"""The folders of the sources, and their fixtures."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from aftersend.sources.base import Source, SourceError, SourceOptions
from aftersend.sources.registry import REGISTRY

SUFFIX: Final = ".expected.json"


def folder_of(source: Source) -> Path:
    """Return the folder of a source."""
    return Path(str(sys.modules[source.parser.__module__].__file__)).parent


def fixtures_of(source: Source) -> list[Path]:
    """Return what the source is given, in the provider's own form."""
    return sorted(
        path for path in (folder_of(source) / "fixtures").glob("*") if path.is_file() and SUFFIX not in path.name
    )


def expected_path(fixture: Path) -> Path:
    """Return where it stands what a fixture becomes."""
    return fixture.with_name(fixture.stem + SUFFIX)


def outcome_of(source: Source, raw: bytes) -> Any:
    """Return what a source makes of raw bytes: a list of events, or an object with `events` and `error`."""
    events: list[Any] = []
    try:
        for event in source.parser(SourceOptions())(raw):
            events.append(msgspec.json.decode(msgspec.json.encode(event)))  # noqa: PERF401 - the last step may raise
    except SourceError as error:
        return {"events": events, "error": str(error)}
    return events


def all_fixtures() -> Iterator[tuple[str, Path]]:
    """Yield every fixture with the name of its source."""
    for name, source in REGISTRY.items():
        for fixture in fixtures_of(source):
            yield name, fixture
