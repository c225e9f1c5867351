"""A provider is one folder: its name stands nowhere else in the package."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from aftersend.sources.registry import REGISTRY
from tests.paths import ROOT, SOURCES

#: By the name of its folder; the sender's own sources have ordinary words for names.
OTHERS = {
    name: SOURCES / kind / name
    for kind in ("providers", "mta")
    for name in REGISTRY
    if (SOURCES / kind / name).is_dir()
}
REGISTRY_FILE = SOURCES / "registry.py"
#: Shared signing schemes that are named after whose they are. SNS signs for every service that publishes through it, so
#: the scheme is no part of any source.
SNS = {path for room in ("signing", "simulation") for path in (SOURCES / room).glob("sns*.py")}
SCHEMES = {"sns": SNS, "amazon": SNS}
#: Pages for readers may name whom they like, and their examples are real.
PROSE = {".md"}


def texts() -> Iterator[tuple[Path, str]]:
    for room in ("aftersend", "agents", "schemas", "tables"):
        for path in sorted((ROOT / room).rglob("*")):
            if path.is_file() and path.suffix not in {".pyc", *PROSE} and path != REGISTRY_FILE:
                yield path, path.read_text(encoding="utf-8", errors="replace")


TEXTS = list(texts())


def pattern(name: str) -> re.Pattern[str]:
    """As a word, or a part of one that underscores or digits separate."""
    return re.compile(rf"(?<![a-z]){re.escape(name)}(?![a-z])", re.IGNORECASE)


@pytest.mark.parametrize("source", OTHERS)
def test_the_name_of_a_provider_stands_in_its_folder_only(source: str) -> None:
    for name in (source, *REGISTRY[source].aliases):
        allowed = SCHEMES.get(name, set())
        found = [
            f"{path.relative_to(ROOT)}: {line.strip()}"
            for path, text in TEXTS
            if not path.is_relative_to(OTHERS[source]) and path not in allowed
            for line in text.splitlines()
            if pattern(name).search(line)
        ]

        assert [] == found


@pytest.mark.parametrize("source", OTHERS)
def test_a_provider_is_one_line_of_the_registry(source: str) -> None:
    lines = [line.strip() for line in REGISTRY_FILE.read_text().splitlines() if pattern(source).search(line)]

    assert [f'"{OTHERS[source].parent.name}.{source}",'] == lines


def test_there_are_providers() -> None:
    assert {"sendgrid", "ses", "kumomta"} <= OTHERS.keys()


@pytest.mark.parametrize(
    "text, is_found",
    [("the ses source", True), ("SES", True), ("ses_key", True), ("sessions", False), ("addresses", False)],
)
def test_a_name_is_a_word(text: str, *, is_found: bool) -> None:
    assert is_found == bool(pattern("ses").search(text))
