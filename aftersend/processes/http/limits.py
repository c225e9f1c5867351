"""Limits on connections and requests, from the settings: the same kinds for every port, with numbers of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from aftersend.config.settings import Settings
from aftersend.processes import open_files

#: An application that limits the time of bodies itself answers with a status of its choice; the front's limit is longer
#: by this much, seconds.
_MARGIN_SECONDS: Final = 5.0
#: Part of the files that a process may open for its operator's port: Kafka, Redis, and the store need the others.
_PART_OF_FILES: Final = 4
#: `Retry-After` of a rejected connection to an operator's port, seconds.
_RETRY_AFTER: Final = 2


def _ignore(_status: int) -> None:
    """Count nothing."""


class HttpLimits(msgspec.Struct, frozen=True):
    """Limits of one port."""

    #: At a time. Beyond them the one that has waited longest for its request is closed.
    connections: int
    #: Longest head, bytes (431).
    head_bytes: int
    #: Time for a head, from the start of the connection or the head's first byte, seconds (408).
    head_seconds: float
    #: Longest body with the framing of its chunks, bytes (413). Bodies that the application rejects are read and
    #: discarded up to here, so that a client reads its answer instead of a broken connection.
    body_bytes: int
    #: Time for a body, and for `aftersend.processes.http.answering.MIN_TAKEN_BYTES` of an answer, seconds (408).
    body_seconds: float
    #: Time after an answer in which the next request has to begin, seconds.
    idle_seconds: float
    #: Value of the header `Retry-After` of a 503, seconds.
    retry_after: int = _RETRY_AFTER
    #: Called with the status of each request that is rejected before it reaches the application.
    on_rejected: Callable[[int], None] = _ignore


def operator_limits(settings: Settings) -> HttpLimits:
    """Return the limits of ports for operators and programs: a worker's, and the gateway's second one."""
    files = open_files.raise_limit()
    return HttpLimits(
        connections=open_files.clamp_connections(
            "web_max_connections", settings.web_max_connections, files, files - files // _PART_OF_FILES
        ),
        head_bytes=settings.http_max_head_bytes,
        head_seconds=settings.web_read_timeout,
        body_bytes=settings.http_max_body_bytes,
        body_seconds=settings.web_read_timeout + _MARGIN_SECONDS,
        idle_seconds=settings.http_idle_timeout,
    )


def gateway_limits(settings: Settings, on_rejected: Callable[[int], None]) -> HttpLimits:
    """Return the limits of the port for webhooks.

    Args:
        settings: checked.
        on_rejected: see `HttpLimits`.
    """
    return HttpLimits(
        connections=open_files.clamp_connections(
            "gateway_max_connections",
            settings.gateway_max_connections,
            open_files.raise_limit(),
            open_files.GATEWAY_FILES,
        ),
        head_bytes=settings.http_max_head_bytes,
        head_seconds=settings.gateway_read_timeout,
        body_bytes=settings.http_max_body_bytes,
        body_seconds=settings.gateway_read_timeout + _MARGIN_SECONDS,
        idle_seconds=settings.http_idle_timeout,
        retry_after=settings.gateway_retry_after,
        on_rejected=on_rejected,
    )
