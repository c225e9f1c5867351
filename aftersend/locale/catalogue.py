"""Looks up names in the catalogues: the name of a key in a language, and the keys that have a name in any language.

A key is what rules, records and JSON have, and is the same in every language. A context tells apart names that share a
key: *Delivered* is one thing among Adobe's KPIs and another among Creatio's responses. The catalogues are
`<language>/LC_MESSAGES/aftersend.po`; `make docs` compiles them to the `.mo` beside them, which is what is read here.
"""

from __future__ import annotations

import gettext
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Final

from aftersend.locale.languages import LANGUAGES, LanguageCode

#: Folder with a folder for each language.
CATALOGUES: Final = Path(__file__).parent
DOMAIN: Final = "aftersend"


@cache
def _catalogue(language: LanguageCode) -> gettext.GNUTranslations:
    return gettext.translation(DOMAIN, str(CATALOGUES), [language])


def name_of(language: LanguageCode, context: str, key: str) -> str:
    """Return the name of a key; of a key that has none, the key in words.

    Args:
        language: of the name.
        context: one of `aftersend.services.names.terms`.
        key: as rules and records have it.
    """
    name = _catalogue(language).pgettext(context, key)
    return name if name != key else key.replace("_", " ")


def keys_of(context: str, keys: Iterable[str], given: str) -> list[str]:
    """Return the keys that have a name, in any language and in any case, or that are the name.

    Args:
        context: one of `aftersend.services.names.terms`.
        keys: to choose from.
        given: name or key.
    """
    wanted = _folded(given)
    return [
        key
        for key in keys
        if _folded(key) == wanted or any(_folded(name_of(language, context, key)) == wanted for language in LANGUAGES)
    ]


def _folded(name: str) -> str:
    """Return a name without what people type in different ways: case, underscores, and the sort of apostrophe."""
    return " ".join(name.replace("_", " ").replace("’", "'").casefold().split())  # noqa: RUF001 - the very character
