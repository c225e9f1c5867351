"""Reads the products' own terms, as their documentation has them, from `documented.txt`."""

from __future__ import annotations

from pathlib import Path

from aftersend.locale.languages import LanguageCode, language_of


def documented() -> dict[tuple[LanguageCode, str, str], str]:
    """Return every documented name by language, context and key."""
    names: dict[tuple[LanguageCode, str, str], str] = {}
    languages: list[LanguageCode] = []
    for line in Path(__file__).with_suffix(".txt").read_text(encoding="utf-8").splitlines():
        first, *cells = [cell.strip() for cell in line.split("|")]
        if first.startswith("#"):
            continue
        if first == "languages":
            languages = [language for tag in cells[0].split() if (language := language_of(tag))]
        elif cells:
            key, *texts = cells
            names |= {(of, first, key): text for of, text in zip(languages, texts, strict=True) if text}
    return names
