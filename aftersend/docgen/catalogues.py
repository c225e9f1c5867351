"""The compiled catalogues of names: an `.mo` file beside each `.po` file, which programs read without a parser."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from aftersend.locale.catalogue import CATALOGUES, DOMAIN
from aftersend.locale.languages import LANGUAGES, LanguageCode

#: The format has dates; with the present one, each run would write other bytes.
_UNDATED: Final = datetime(1970, 1, 1, tzinfo=UTC)


def source_of(language: LanguageCode) -> Path:
    """Return the catalogue that people edit."""
    return CATALOGUES / language / "LC_MESSAGES" / f"{DOMAIN}.po"


def read(language: LanguageCode) -> Catalog:
    """Return a catalogue with its comments.

    Raises:
        PoFileError: if the file is not well formed.
    """
    with source_of(language).open("rb") as file:
        return read_po(file, locale=language, abort_invalid=True)


def compiled(language: LanguageCode) -> bytes:
    """Return a catalogue compiled, the same bytes for the same text."""
    catalogue = read(language)
    catalogue.creation_date = catalogue.revision_date = _UNDATED
    out = io.BytesIO()
    write_mo(out, catalogue)
    return out.getvalue()


def write() -> list[str]:
    """Write every compiled catalogue that is missing or out of date; return their paths in the package."""
    changed = []
    for language in LANGUAGES:
        path = source_of(language).with_suffix(".mo")
        content = compiled(language)
        if not path.is_file() or path.read_bytes() != content:
            path.write_bytes(content)
            changed.append(path.relative_to(CATALOGUES).as_posix())
    return changed
