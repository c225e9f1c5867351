"""A new top-level package must not slip past the rules for layers, nor be missing from what is installed."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
# Run from the checkout only.
NOT_INSTALLED = {"benchmarks", "deploy", "docs", "tests"}


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


@pytest.fixture(scope="module")
def rooms() -> set[str]:
    return {path.parent.name for path in ROOT.glob("[a-z]*/__init__.py")} - NOT_INSTALLED


def test_every_room_is_under_the_rules_for_layers(project: dict[str, Any], rooms: set[str]) -> None:
    assert rooms == set(project["tool"]["importlinter"]["root_packages"])


def test_every_contract_names_every_room(project: dict[str, Any], rooms: set[str]) -> None:
    """What a room may import is what its contract leaves out, so a new room has to be thought of in each."""
    allowed = {
        "schemas": set(),
        "rules": {"schemas"},
        "sources": {"schemas"},
        "engine": {"schemas"},
        "tables": {"schemas", "rules", "engine"},
        "agents": {"schemas", "rules", "sources", "engine", "tables"},
        "publish": {"schemas", "rules"},
        "gateway": {"schemas", "sources", "engine"},
        "console": {"schemas", "rules", "publish"},
        "cli": rooms,
    }
    forbidden: dict[str, set[str]] = {room: set() for room in rooms}
    for contract in project["tool"]["importlinter"]["contracts"]:
        for room in contract["source_modules"]:
            forbidden[room] |= set(contract["forbidden_modules"]) & rooms

    assert {room: rooms - allowed[room] - {room} for room in rooms} == forbidden


def test_every_room_is_installed(project: dict[str, Any], rooms: set[str]) -> None:
    assert rooms <= set(project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"])
