"""The limit of open files: raised at the start as far as this user may, and what depends on it clamped."""

from __future__ import annotations

import resource
from typing import Final

import structlog

log = structlog.get_logger(__name__)

#: More is of no use, and some systems are slow with a limit of thousands of millions.
_ENOUGH: Final = 1_048_576
#: Some systems refuse more than this whatever they name as their limit (OPEN_MAX of macOS).
_MODEST: Final = 10_240
#: Files of a gateway besides its clients' connections: to Kafka, of the operator's port, secrets, libraries.
GATEWAY_FILES: Final = 128


def raise_limit() -> int:
    """Raise the limit of open files as far as this user may; return what it is then."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _ENOUGH if hard == resource.RLIM_INFINITY else min(hard, _ENOUGH)
    if soft == resource.RLIM_INFINITY or soft >= most:
        return most if soft == resource.RLIM_INFINITY else soft
    for limit in (most, min(most, _MODEST)):
        if limit <= soft:
            break
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
        except (OSError, ValueError):
            continue
        return limit
    return soft


def clamp_connections(setting: str, wanted: int, limit: int, kept: int) -> int:
    """Return how many connections a port may have under a limit of open files; logs if it is fewer than wanted.

    Args:
        setting: name of the setting that wants them.
        wanted: its value.
        limit: of open files.
        kept: files that the process needs for everything else.
    """
    most = max(1, limit - kept)
    if wanted > most:
        log.warning(
            "fewer connections than set: the limit of open files is too low",
            setting=setting,
            wanted=wanted,
            connections=most,
            open_files=limit,
        )
    return min(wanted, most)
