"""Checks of the settings; returns settings for the other checks even if some are invalid."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError, model_validator

from aftersend.config.installation import parsers
from aftersend.config.loading import misspelt, problems_of
from aftersend.config.settings import Settings
from aftersend.errors import SettingsError
from aftersend.services.doctor.findings import Finding, failed, ok, warning

_CHECK: Final = "settings"
#: No overrides. Without any argument, the type checker would demand every setting.
_NOTHING: Final[dict[str, Any]] = {}


class _Lenient(Settings, extra="ignore"):
    """Settings without the checks that concern several of them; unknown names are ignored."""

    @model_validator(mode="after")
    def _open_on_loopback_only(self) -> _Lenient:
        return self

    @model_validator(mode="after")
    def _consistent(self) -> _Lenient:
        return self


class _WithoutFile(_Lenient, toml_file=None):
    """Settings from the environment and `.env` only."""


def check_settings(environment: Mapping[str, str] | None = None) -> tuple[list[Finding], Settings]:
    """Return the findings, and settings for the other checks: an invalid setting is replaced by its default.

    Args:
        environment: variables to check for misspelt settings; by default those of this process.
    """
    findings: list[Finding] = []
    settings: Settings
    try:
        settings = Settings(**_NOTHING)
    except ValidationError as error:
        advice = "correct it: docs/reference/settings.md has all settings"
        findings += [failed(_CHECK, problem, advice) for problem in problems_of(error)]
        settings = _with_defaults(error)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        findings.append(failed(_CHECK, f"aftersend.toml can't be read: {error}", "correct the file, or remove it"))
        settings = _without_file()
    else:
        try:
            parsers(settings)
        except SettingsError as error:
            findings.append(failed(_CHECK, str(error), "correct it: docs/reference/settings.md has all settings"))
    findings += [
        warning(_CHECK, hint, "rename the variable, or remove it")
        for hint in misspelt(os.environ if environment is None else environment)
    ]
    files = [name for name in (".env", "aftersend.toml") if Path(name).is_file()]
    if not findings:
        origins = " and ".join(["the environment", *files])
        findings.append(ok(_CHECK, f"all are valid; read from {origins} in {Path.cwd()}"))
    return findings, settings


def _with_defaults(error: ValidationError) -> Settings:
    """Return the settings with defaults in place of the invalid ones."""
    wrong = {str(problem["loc"][0]) for problem in error.errors() if problem["loc"]}
    defaults: dict[str, Any] = {
        name: field.get_default(call_default_factory=True)
        for name, field in Settings.model_fields.items()
        if name in wrong
    }
    return _Lenient(**defaults)


def _without_file() -> Settings:
    """Return the settings without the unreadable settings file."""
    try:
        return _WithoutFile(**_NOTHING)
    except ValidationError:
        return Settings.model_construct()
