"""Types of settings: lists and maps, which an environment variable holds as text."""

from __future__ import annotations

import json
from typing import Annotated, Any, Final

from pydantic import BeforeValidator
from pydantic_settings import NoDecode

#: What the names of all environment variables start with.
PREFIX: Final = "AFTERSEND_"
MIB: Final = 1024 * 1024


def _split(value: Any) -> Any:
    """Return a list from text: a JSON array, or values separated by commas."""
    if not isinstance(value, str):
        return value
    return json.loads(value) if value.startswith("[") else [part.strip() for part in value.split(",")]


def _parse(value: Any) -> Any:
    """Return a map from text: a JSON object."""
    return json.loads(value) if isinstance(value, str) else value


def _parse_lists(value: Any) -> Any:
    """Return a map of lists from text: a JSON object whose values are one string or several."""
    value = _parse(value)
    if not isinstance(value, dict):
        return value
    return {name: (given,) if isinstance(given, str) else given for name, given in value.items()}


#: Validator for a JSON object of any type.
PARSE_JSON: Final = BeforeValidator(_parse)

#: In the environment separated by commas, or a JSON array; in a file a list.
Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
#: In the environment a JSON object; in a file a table.
Mapped = Annotated[dict[str, str], NoDecode, PARSE_JSON]
#: The same, with one string or a list of strings as each value.
MappedNames = Annotated[dict[str, tuple[str, ...]], NoDecode, BeforeValidator(_parse_lists)]
