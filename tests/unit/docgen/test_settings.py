from aftersend.config.settings import Settings
from aftersend.docgen.settings import SECTIONS


def test_every_setting_says_what_it_means() -> None:
    assert [] == [name for name, field in Settings.model_fields.items() if not (field.description or "").endswith(".")]


def test_every_section_begins_with_a_setting() -> None:
    assert set() == SECTIONS.keys() - Settings.model_fields.keys()
