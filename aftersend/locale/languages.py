"""The languages of names, and which one a user wants."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, get_args

LanguageCode = Literal["en", "es", "de", "fr", "ru"]
#: Every language with a catalogue, by its code of ISO 639-1.
LANGUAGES: Final[tuple[LanguageCode, ...]] = get_args(LanguageCode)
ENGLISH: Final = LANGUAGES[0]

#: Environment variables that name the language of messages, in the order of POSIX: the first that is set decides.
_VARIABLES: Final = ("LC_ALL", "LC_MESSAGES", "LANG")
#: Longest `Accept-Language` that is read, characters; browsers send some dozens.
_MAX_HEADER: Final = 1000


def language_of(tag: str) -> LanguageCode | None:
    """Return the language of a tag or locale such as `es-MX`, `es_MX.UTF-8` or `ES`; None: it has no catalogue."""
    code = tag.strip().replace("_", "-").partition(".")[0].partition("@")[0].partition("-")[0].lower()
    return next((language for language in LANGUAGES if language == code), None)


def from_environment(environment: Mapping[str, str]) -> LanguageCode:
    """Return the language of a process: that of the first variable that is set, else English."""
    value = next(filter(None, map(environment.get, _VARIABLES)), "")
    return language_of(value) or ENGLISH


def from_accept_language(header: str) -> LanguageCode | None:
    """Return the language that a client prefers (RFC 9110, 12.5.4), of those with a catalogue.

    Args:
        header: value of `Accept-Language`.

    Returns:
        English if it accepts others only, or any; None if the header is empty.
    """
    if not header.strip():
        return None
    weighted = [(_weight(parameters), tag) for tag, _, parameters in map(_split, header[:_MAX_HEADER].split(","))]
    # Stable: of equal weights the first counts.
    for weight, tag in sorted(weighted, key=lambda pair: -pair[0]):
        if weight > 0 and (language := language_of(tag)):
            return language
        if weight > 0 and tag.strip() == "*":
            break
    return ENGLISH


def _split(item: str) -> tuple[str, str, str]:
    return item.partition(";")


def _weight(parameters: str) -> float:
    """Return a preference's `q`: 1 without one, 0 (not wanted) if it is no number from 0 to 1."""
    name, equals, value = parameters.strip().partition("=")
    if not equals or name.strip().lower() != "q":
        return 1.0
    digits = value.strip()
    if not digits.isascii() or not digits.replace(".", "", 1).isdecimal():
        return 0.0
    weight = float(digits)
    return weight if weight <= 1 else 0.0
