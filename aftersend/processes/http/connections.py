"""The connections of one port: how many there may be, and which of them has to go when one more comes."""

from __future__ import annotations

import time
from typing import Final, Protocol

import structlog

log = structlog.get_logger(__name__)

#: Between two warnings that there are too many, seconds.
_WARN_INTERVAL_SECONDS: Final = 60.0


class Evictable(Protocol):
    """A connection that can be closed while it waits for a request."""

    def hang_up(self) -> None:
        """Close without an answer."""


class Connections:
    """Connections that wait for a request or its head, in the order in which they began to wait.

    Args:
        limit: of all connections, waiting or not.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._waiting: dict[Evictable, None] = {}
        self._warned_at = -_WARN_INTERVAL_SECONDS

    def admit(self, connection: Evictable, number: int) -> bool:
        """Admit a new connection, if need be in place of the one that has waited longest.

        A client that holds connections without using them loses them, and others get theirs: probes of a worker and
        webhooks of a provider are answered meanwhile.

        Args:
            connection: which waits for its first request from now on.
            number: of all connections with this one.

        Returns:
            False: there are too many, and all are busy.
        """
        if number > self._limit:
            self._warn()
            if not self._waiting:
                return False
            oldest = next(iter(self._waiting))
            del self._waiting[oldest]
            oldest.hang_up()
        self._waiting[connection] = None
        return True

    def wait(self, connection: Evictable) -> None:
        """Note that a connection waits for a request, or for the rest of its head, from now on."""
        self._waiting.pop(connection, None)
        self._waiting[connection] = None

    def busy(self, connection: Evictable) -> None:
        """Note that a connection has a request, or is gone."""
        self._waiting.pop(connection, None)

    def _warn(self) -> None:
        now = time.monotonic()
        if now - self._warned_at >= _WARN_INTERVAL_SECONDS:
            self._warned_at = now
            log.warning("too many connections: the one that has waited longest is closed", most=self._limit)
