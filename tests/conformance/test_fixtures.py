"""Every source turns its fixtures into exactly the events that stand beside them."""

import json
import re
from pathlib import Path

import pytest

from aftersend.schemas.event import EVENT_TYPES
from aftersend.sources.base import Source
from aftersend.sources.registry import REGISTRY
from tests.conformance.sources import all_fixtures, expected_path, fixtures_of, folder_of, outcome_of

FIXTURES = list(all_fixtures())


@pytest.mark.parametrize("name, fixture", FIXTURES, ids=[f"{name}-{path.stem}" for name, path in FIXTURES])
def test_a_fixture_becomes_what_is_expected(name: str, fixture: Path) -> None:
    expected = json.loads(expected_path(fixture).read_text(encoding="utf-8"))

    assert expected == outcome_of(REGISTRY[name], fixture.read_bytes())


def documented(source: Source) -> set[str]:
    """Return the event types that the tables of a source's page name."""
    rows = [line for line in (folder_of(source) / "README.md").read_text().splitlines() if line.startswith("|")]
    return set(re.findall(r"`(\w+)`", "\n".join(rows))) & set(EVENT_TYPES)


@pytest.mark.parametrize("name", REGISTRY)
def test_every_documented_event_type_has_a_fixture(name: str) -> None:
    shown = set()
    for fixture in fixtures_of(REGISTRY[name]):
        outcome = outcome_of(REGISTRY[name], fixture.read_bytes())
        shown |= {event["type"] for event in (outcome if isinstance(outcome, list) else outcome["events"])}

    assert set() == documented(REGISTRY[name]) - shown


@pytest.mark.parametrize("name", REGISTRY)
def test_a_page_documents_event_types(name: str) -> None:
    assert documented(REGISTRY[name])
