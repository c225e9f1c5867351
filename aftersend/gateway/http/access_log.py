"""Access log: result and reason of requests, nothing of their content."""

from __future__ import annotations

import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Final, Literal

import structlog

log = structlog.get_logger(__name__)

#: More lines a second would be load of their own, and the metrics count every request anyway.
_MAX_LINES_PER_SECOND: Final = 20


class AccessLog:
    """Logs requests.

    Args:
        level: which requests to log; `errors`: all but those answered with 200.
        show_ip: whether to log the client's address.
        now: a monotonic clock, seconds.
    """

    def __init__(
        self, level: Literal["off", "errors", "all"], *, show_ip: bool, now: Callable[[], float] = time.monotonic
    ) -> None:
        self.all = level == "all"
        self._off = level == "off"
        self._show_ip = show_ip
        self._now = now
        self._second = 0
        self._lines = 0
        self._dropped = 0

    def line(self, source: str, status: int, seconds: float, size: int, why: str, client: str) -> None:
        """Log a request.

        Args:
            source: name; "": unknown. Never the path: it may hold a token.
            status: of the answer.
            seconds: duration.
            size: bytes of the body that were read.
            why: reason why it was not accepted; "": it was.
            client: IP address.
        """
        if self._off or (status == HTTPStatus.OK and not self.all):
            return
        second = int(self._now())
        if second != self._second:
            self._second, self._lines = second, 0
        if self._lines >= _MAX_LINES_PER_SECOND:
            self._dropped += 1
            return
        self._lines += 1
        fields: dict[str, object] = {
            "source": source,
            "status": int(status),
            "ms": round(seconds * 1000, 1),
            "bytes": size,
        }
        if why:
            fields["why"] = why
        if self._show_ip:
            fields["ip"] = client
        if self._dropped:
            fields["lines_left_out"], self._dropped = self._dropped, 0
        log.info("webhook", **fields)
