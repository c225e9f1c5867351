"""The catalogues hold what the code needs and nothing else, and what the products document."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import pytest
from babel.messages.catalog import Message

from aftersend.docgen import catalogues
from aftersend.locale.catalogue import name_of
from aftersend.locale.languages import LANGUAGES, LanguageCode
from aftersend.services.names.terms import terms
from tests.unit.locale.documented import documented

ENTRIES = [(context, key) for context, keys in terms().items() for key in keys]


@cache
def messages(language: LanguageCode) -> dict[tuple[str, str], Message]:
    return {(str(one.context), str(one.id)): one for one in catalogues.read(language) if one.id}


def each() -> Iterator[tuple[LanguageCode, str, str, Message]]:
    for language in LANGUAGES:
        for (context, key), message in messages(language).items():
            yield language, context, key, message


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_catalogue_lacks_a_name_and_none_has_an_unused_one(language: LanguageCode) -> None:
    assert set(ENTRIES) == messages(language).keys()


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_name_is_empty_or_unfinished(language: LanguageCode) -> None:
    assert [] == [message.id for message in messages(language).values() if not message.string or message.fuzzy]


def test_every_name_says_whether_it_is_documented_or_ours() -> None:
    assert [] == [
        (language, context, key)
        for language, context, key, message in each()
        if message.user_comments not in (["documented"], ["ours"])
    ]


def test_the_products_terms_are_as_documented() -> None:
    expected = documented()

    assert expected == {where: name_of(*where) for where in expected}
    assert [] == [
        (language, context, key)
        for language, context, key in expected
        if ["documented"] != messages(language)[context, key].user_comments
    ]


def test_a_name_that_is_marked_as_documented_is_made_of_documented_words() -> None:
    known = {(language, name.casefold()) for (language, *_), name in documented().items()}

    assert [] == [
        (language, context, key)
        for language, context, key, message in each()
        if message.user_comments == ["documented"]
        and (language, str(message.string).casefold().removeprefix("% ")) not in known
    ]


@pytest.mark.parametrize("language", LANGUAGES)
def test_compiled_catalogues_are_current(language: LanguageCode) -> None:
    """If this fails, run `python -m aftersend.docgen`."""
    assert catalogues.compiled(language) == catalogues.source_of(language).with_suffix(".mo").read_bytes()


def test_the_names_of_a_context_differ_from_one_another() -> None:
    """Filters take names in any language, so one name may not mean two statuses, not even in two languages."""
    filtered = [context for context in terms() if context.endswith(("status", "response", "reason"))]
    found: dict[tuple[str, str], set[str]] = {}
    for language, context, key, _ in each():
        if context in filtered:
            found.setdefault((context, name_of(language, context, key).casefold()), set()).add(key)

    assert {} == {name: keys for name, keys in found.items() if len(keys) > 1}
