import pytest

from aftersend.docgen.sources import page_of, render
from aftersend.sources.registry import REGISTRY

PAGE = render()


@pytest.mark.parametrize("name", REGISTRY)
def test_every_source_has_its_section_and_its_own_page(name: str) -> None:
    assert f"\n## {name}\n" in PAGE
    assert page_of(REGISTRY[name]).is_file()


@pytest.mark.parametrize("name", REGISTRY)
def test_the_own_page_of_every_source_names_its_event_types(name: str) -> None:
    section = PAGE.split(f"\n## {name}\n")[1].split("\n## ")[0]
    (types,) = (line for line in section.splitlines() if line.startswith("| event types"))

    assert "`" in types
