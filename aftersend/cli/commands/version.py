"""`aftersend version`."""

from __future__ import annotations

import platform
from importlib.metadata import version as version_of
from typing import Final

from aftersend.cli.context import Json
from aftersend.cli.render.output import print_json, say

_LIBRARIES: Final = ("faust-streaming", "aiokafka", "redis", "rocksdict", "msgspec")


def version(*, as_json: Json = False) -> None:
    """Show the versions of Aftersend, Python and the main libraries.

    Args:
        as_json: One JSON object.
    """
    versions = {"aftersend": version_of("aftersend"), "python": platform.python_version()}
    versions |= {name: version_of(name) for name in _LIBRARIES}
    if as_json:
        print_json(versions)
        return
    for name, number in versions.items():
        say(f"{name:<16} {number}")
