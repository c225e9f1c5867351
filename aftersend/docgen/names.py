"""The page of names, `docs/reference/names.md`, from the catalogues."""

from __future__ import annotations

from aftersend.docgen import catalogues
from aftersend.docgen.template import fill, table
from aftersend.locale.languages import LANGUAGES, LanguageCode
from aftersend.services.names.terms import terms


def render() -> str:
    """Return the page."""
    names = {language: _names(language) for language in LANGUAGES}
    sections = []
    for context, keys in terms().items():
        rows = ([f"`{key}`", *(names[language].get((context, key), "") for language in LANGUAGES)] for key in keys)
        sections.append(f"## {context[:1].upper()}{context[1:]}\n\n{table(('key', *LANGUAGES), rows)}")
    return fill("names", {"contexts": "\n\n".join(sections)})


def _names(language: LanguageCode) -> dict[tuple[str, str], str]:
    """Return the names by context and key; documented ones in bold."""
    return {
        (str(one.context), str(one.id)): f"**{one.string}**" if "documented" in one.user_comments else str(one.string)
        for one in catalogues.read(language)
        if one.id
    }
