"""What every command that asks something begins with: the settings, and quiet libraries."""

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

#: The option for scripts.
Json = Annotated[bool, Parameter(name="--json", negative="", show_default=False)]


def command_settings() -> Settings:
    """Return the settings, for a command that shows its own results and errors.

    Raises:
        SettingsError: if one is wrong.
    """
    logs.quiet()
    return load()


def address_key(address: str) -> str:
    """Return an address, given in any spelling, as the tables have it.

    Raises:
        AftersendError: if it is none.
    """
    try:
        return normalise(address)
    except SourceError as error:
        raise AftersendError(f"this is no address: {error}") from error


def wait_for(work: Coroutine[Any, Any, T]) -> T:
    """Run a command's asynchronous part."""
    return asyncio.run(work)
