"""Loads the settings at start; every invalid one is reported at once, with its name and how to set it."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable
from typing import Any, Final

from pydantic import ValidationError

from aftersend.config.origins import ALIASES, SETTING_OF_ALIAS
from aftersend.config.settings import Settings
from aftersend.config.types import PREFIX
from aftersend.errors import SettingsError

#: Similarity (0 to 1) from which an unknown name counts as misspelt: in our own files, and in the environment, where
#: orchestrators put variables such as AFTERSEND_PORT for a service called `aftersend`.
_SIMILAR: Final = 0.6
_VERY_SIMILAR: Final = 0.8


def load(**overrides: Any) -> Settings:
    """Load and validate the settings.

    Args:
        overrides: settings by name, with the highest precedence; None: not given.

    Raises:
        SettingsError: names every invalid setting, and how to set it.
    """
    try:
        return Settings(**{name: value for name, value in overrides.items() if value is not None})
    except ValidationError as error:
        raise SettingsError("; ".join(problems_of(error))) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"aftersend.toml can't be read: {error}") from None


def problems_of(error: ValidationError) -> list[str]:
    """Return one message for each invalid setting, without the values of secrets."""
    return [_problem(detail["loc"], detail["msg"], detail["input"]) for detail in error.errors()]


def _problem(location: tuple[int | str, ...], message: str, given: object) -> str:
    name = str(location[0]).removeprefix(PREFIX.lower()) if location else ""
    message = message.removeprefix("Value error, ")
    if not name:
        return message
    if name.lower() in SETTING_OF_ALIAS:
        setting = SETTING_OF_ALIAS[name.lower()]
        return f"setting {setting!r} is given under two names, {name!r} being the other one: give one of them"
    if name not in Settings.model_fields:
        return f"there is no setting {name!r}{_suggestion(name, _SIMILAR)}"
    # What is not shown with the settings is a secret.
    shown = f", got {given!r}" if Settings.model_fields[name].repr else ""
    aliases = "".join(f", also {alias}" for alias, setting in ALIASES.items() if setting == name)
    return f"setting {name!r} ({PREFIX}{name.upper()}{aliases}): {message}{shown}"


def _suggestion(name: str, cutoff: float) -> str:
    close = difflib.get_close_matches(name, Settings.model_fields, n=1, cutoff=cutoff)
    return f"; did you mean {close[0]!r} ({PREFIX}{close[0].upper()})?" if close else ""


def misspelt(environment: Iterable[str]) -> list[str]:
    """Return a hint for each variable that looks like a misspelt setting.

    Args:
        environment: names of all variables. They are hints, not errors: a variable with our prefix may belong to
            someone else.
    """
    hints = []
    for variable in sorted(environment):
        name = variable.lower().removeprefix(PREFIX.lower())
        if not variable.startswith(PREFIX) or name in Settings.model_fields or name in SETTING_OF_ALIAS:
            continue
        if suggestion := _suggestion(name, _VERY_SIMILAR):
            hints.append(f"{variable} is no setting{suggestion}")
    return hints
