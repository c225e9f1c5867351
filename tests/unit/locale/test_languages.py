from __future__ import annotations

import pytest

from aftersend.locale.languages import from_accept_language, from_environment, language_of


@pytest.mark.parametrize(
    "tag, expected",
    [("es", "es"), ("es-MX", "es"), ("es_MX.UTF-8", "es"), ("DE", "de"), ("fr@euro", "fr"), ("C", None), ("", None)],
)
def test_a_tag_or_locale_has_the_language_of_its_first_part(tag: str, expected: str | None) -> None:
    assert expected == language_of(tag)


@pytest.mark.parametrize(
    "environment, expected",
    [
        ({}, "en"),
        ({"LANG": "ru_RU.UTF-8"}, "ru"),
        ({"LANG": "ru_RU.UTF-8", "LC_MESSAGES": "de_DE"}, "de"),
        ({"LANG": "ru_RU.UTF-8", "LC_MESSAGES": "de_DE", "LC_ALL": "fr_FR"}, "fr"),
        ({"LANG": "ru_RU.UTF-8", "LC_ALL": "C"}, "en"),
        ({"LANG": "ru_RU.UTF-8", "LC_ALL": ""}, "ru"),
        ({"LANG": "ja_JP.UTF-8"}, "en"),
    ],
)
def test_the_first_variable_that_is_set_decides(environment: dict[str, str], expected: str) -> None:
    assert expected == from_environment(environment)


@pytest.mark.parametrize(
    "header, expected",
    [
        ("", None),
        ("es", "es"),
        ("es-MX,es;q=0.9,en;q=0.8", "es"),
        ("en;q=0.5, ru;q=0.9", "ru"),
        ("ja, de;q=0.3", "de"),
        ("ja", "en"),
        ("*", "en"),
        ("*, es;q=0.5", "en"),
        ("es;q=0, fr;q=0.1", "fr"),
        ("es;q=nonsense, fr;q=0.1", "fr"),
        ("es;q=7, fr;q=0.1", "fr"),
        (",;,;q=,", "en"),
        ("de" * 5000, "en"),
    ],
)
def test_a_client_gets_the_language_that_it_prefers(header: str, expected: str | None) -> None:
    assert expected == from_accept_language(header)
