"""The generated pages in `docs/reference` are current."""

from pathlib import Path

import pytest

from aftersend.docgen.pages import REFERENCE, render_all, write
from aftersend.docgen.template import fill

PAGES = render_all()


@pytest.mark.parametrize("name", PAGES)
def test_a_generated_page_is_current(name: str) -> None:
    """If this fails, run `python -m aftersend.docgen` and review the changes of the pages."""
    page = (REFERENCE / name).read_text(encoding="utf-8")

    assert PAGES[name] == page, f"docs/reference/{name} is out of date: run `python -m aftersend.docgen`"


def test_no_other_schema_lies_there() -> None:
    found = {f"schemas/{path.name}" for path in (REFERENCE / "schemas").iterdir()}

    assert {name for name in PAGES if name.startswith("schemas/")} == found


def test_the_pages_can_be_written_elsewhere(tmp_path: Path) -> None:
    assert sorted(PAGES) == sorted(write(tmp_path))
    assert [] == write(tmp_path)

    written = {p.relative_to(tmp_path).as_posix(): p.read_text(encoding="utf-8") for p in tmp_path.rglob("*.*")}
    assert PAGES == written


def test_a_part_without_a_place_in_the_template_is_an_error() -> None:
    with pytest.raises(ValueError, match="differ in"):
        fill("settings", {"no such place": ""})
