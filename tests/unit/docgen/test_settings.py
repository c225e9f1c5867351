from aftersend.config.settings import Settings
from aftersend.docgen.settings import SECTIONS, render
from tests.paths import DOCS

PAGE = DOCS / "reference" / "settings.md"


def test_the_page_is_current() -> None:
    """If not: python -m aftersend.docgen.settings > docs/reference/settings.md."""
    assert render() == PAGE.read_text()


def test_every_setting_says_what_it_means() -> None:
    assert [] == [name for name, field in Settings.model_fields.items() if not (field.description or "").endswith(".")]


def test_every_section_begins_with_a_setting() -> None:
    assert set() == SECTIONS.keys() - Settings.model_fields.keys()
