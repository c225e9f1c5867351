"""A new room must not slip past the rules for layers, nor a new folder past the tree that the docs describe."""

import importlib
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.paths import ROOT

#: What stands in the root, beside files: the rooms that users of the project look for, and one package.
FOLDERS = {"aftersend", "agents", "benchmarks", "deploy", "docs", "schemas", "tables", "tests"}
#: Rooms that lie in the root and are imported, and installed, as a part of the package.
LINKED = ("agents", "schemas", "tables")


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def is_tracked(path: Path) -> bool:
    """Builds, caches and a run's data are nobody's rooms."""
    return not path.name.startswith((".", "__")) and path.name not in {"build", "dist", "data", "secrets"}


def test_the_root_holds_these_folders_and_no_others() -> None:
    assert FOLDERS == {path.name for path in ROOT.iterdir() if path.is_dir() and is_tracked(path)}


@pytest.mark.parametrize("room", LINKED)
def test_a_room_in_the_root_is_a_part_of_the_package(room: str) -> None:
    """A link, so that an installed Aftersend claims no import name but its own."""
    module = importlib.import_module(f"aftersend.{room}")

    assert (ROOT / "aftersend" / room).is_symlink()
    assert module.__file__ is not None
    assert ROOT / room / "__init__.py" == Path(module.__file__).resolve()


def test_only_the_package_is_installed(project: dict[str, Any]) -> None:
    assert ["aftersend"] == project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]


def test_every_room_has_its_place_in_the_layers(project: dict[str, Any]) -> None:
    (layers,) = [c for c in project["tool"]["importlinter"]["contracts"] if c["type"] == "layers"]
    rooms = {path.stem for path in (ROOT / "aftersend").iterdir() if is_tracked(path)}

    assert layers["exhaustive"]
    assert rooms == set(layers["layers"])
