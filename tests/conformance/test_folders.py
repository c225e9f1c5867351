"""Every source's folder holds what a source is made of."""

from importlib import import_module
from pathlib import Path

import pytest

from aftersend.sources.registry import REGISTRY
from aftersend.sources.webhook import WebhookOptions
from tests.conformance.sources import expected_path, fixtures_of, folder_of
from tests.paths import SOURCES

FOLDERS = [path.parent for kind in ("mta", "own", "providers") for path in SOURCES.glob(f"{kind}/*/__init__.py")]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_folder_is_registered_under_its_name(folder: Path) -> None:
    assert folder == folder_of(REGISTRY[folder.name])
    module = import_module(f"aftersend.sources.{folder.parent.name}.{folder.name}")
    assert REGISTRY[folder.name] is module.SOURCE


def test_every_source_has_a_folder() -> None:
    assert REGISTRY.keys() == {folder.name for folder in FOLDERS}


@pytest.mark.parametrize("name", REGISTRY)
def test_a_folder_has_all_its_files(name: str) -> None:
    source = REGISTRY[name]
    folder = folder_of(source)
    wanted = {"__init__.py", "payload.py", "parser.py", "README.md", "fixtures"}
    if folder.parent.name != "own":
        wanted.add("simulator.py")
    if folder.parent.name == "providers":
        wanted.add("signature.py")

    assert set() == wanted - {path.name for path in folder.iterdir()}
    assert (folder / "simulator.py").exists() == bool(source.simulator)
    assert fixtures_of(source)


@pytest.mark.parametrize("name", REGISTRY)
def test_every_expectation_has_its_fixture(name: str) -> None:
    folder = folder_of(REGISTRY[name]) / "fixtures"

    assert {expected_path(fixture) for fixture in fixtures_of(REGISTRY[name])} == set(folder.glob("*.expected.json"))


@pytest.mark.parametrize("name", REGISTRY)
def test_a_page_begins_with_a_heading_and_names_the_raw_topic(name: str) -> None:
    page = (folder_of(REGISTRY[name]) / "README.md").read_text()

    assert page.startswith("# ")
    assert f"feedback.raw.{name}" in page


async def fetch_nothing(url: str) -> bytes:
    raise OSError(url)


@pytest.mark.parametrize("name", [name for name, source in REGISTRY.items() if source.webhook])
def test_webhooks_are_never_open_by_default(name: str) -> None:
    webhook = REGISTRY[name].webhook
    assert webhook is not None

    assert webhook.secrets_help
    with pytest.raises(ValueError, match=r"\w"):
        webhook.verifier(WebhookOptions(fetch=fetch_nothing))
