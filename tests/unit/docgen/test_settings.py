from aftersend.config.sections import SECTIONS
from aftersend.config.settings import Settings


def test_every_setting_has_a_description() -> None:
    assert [] == [name for name, field in Settings.model_fields.items() if not (field.description or "").endswith(".")]


def test_the_sections_are_all_the_settings_in_their_order() -> None:
    assert list(Settings.model_fields) == [name for section in SECTIONS.values() for name in section.model_fields]
