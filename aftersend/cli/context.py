"""Common parts of commands: settings, arguments, running of asynchronous code."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from typing import Annotated, Any, NamedTuple, TypeVar

from cyclopts import Parameter

from aftersend.config.loading import load
from aftersend.config.settings import Settings
from aftersend.errors import AftersendError
from aftersend.locale.languages import ENGLISH, LanguageCode, from_environment
from aftersend.processes import logs
from aftersend.sources.base import SourceError
from aftersend.sources.parsing.address import normalise

T = TypeVar("T")

#: The option `--json`.
Json = Annotated[bool, Parameter(name="--json", negative="", show_default=False)]
#: The option `--language`.
Language = Annotated[
    LanguageCode | None,
    Parameter(
        show_default=False,
        help="Language of names, such as those of statuses: by default that of LC_ALL, LC_MESSAGES or LANG, else "
        "English.",
    ),
]


class NameLanguage(NamedTuple):
    """The language of names in a command's output."""

    language: LanguageCode
    #: The user has named it, by the option.
    named: bool = False

    @property
    def of_labels(self) -> LanguageCode | None:
        """The language of labels beside keys in JSON and CSV; None: no labels, the keys are English enough."""
        return self.language if self.named or self.language != ENGLISH else None


def name_language(given: LanguageCode | None) -> NameLanguage:
    """Return the language of names: that of the option, else that of the environment."""
    return NameLanguage(given or from_environment(os.environ), named=given is not None)


def command_settings() -> Settings:
    """Return the settings, for a command that prints its own results; libraries do not log.

    Raises:
        SettingsError: if a setting is invalid.
    """
    logs.quiet()
    return load()


def address_key(address: str) -> str:
    """Return the normalised form of an address.

    Raises:
        AftersendError: if it is not an address.
    """
    try:
        return normalise(address)
    except SourceError as error:
        raise AftersendError(f"not an address: {error}") from error


def wait_for(work: Coroutine[Any, Any, T]) -> T:
    """Run asynchronous code, which may use Kafka, to its end; return its result."""
    from aftersend.engine.aiokafka import patches

    patches.apply()
    return asyncio.run(work)
