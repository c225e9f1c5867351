"""Common parts of commands: settings, arguments, running of asynchronous code."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Annotated, Any, TypeVar

from cyclopts import Parameter

from aftersend.config.loading import load
from aftersend.config.settings import Settings
from aftersend.errors import AftersendError
from aftersend.processes import logs
from aftersend.sources.base import SourceError
from aftersend.sources.parsing.address import normalise

T = TypeVar("T")

#: The option `--json`.
Json = Annotated[bool, Parameter(name="--json", negative="", show_default=False)]


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
