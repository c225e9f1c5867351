"""A line for a request: what came of it and why, nothing of what it holds."""

from __future__ import annotations

import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Final, Literal

import structlog

log = structlog.get_logger(__name__)

#: More lines a second would be a load of their own, and say nothing that the metrics do not.
_PER_SECOND: Final = 20


class AccessLog:
    """Logs requests.

    Args:
        wanted: which.
        show_ip: whether the other side's address is shown.
        now: a monotonic clock, seconds.
    """

    def __init__(
        self, wanted: Literal["off", "errors", "all"], *, show_ip: bool, now: Callable[[], float] = time.monotonic
    ) -> None:
        self.all = wanted == "all"
        self._off = wanted == "off"
        self._show_ip = show_ip
        self._now = now
        self._second = 0
        self._lines = 0
        self._left_out = 0

    def line(self, source: str, status: int, seconds: float, size: int, why: str, client: str) -> None:
        """Log a request.

        Args:
            source: name; "": none that there is. Never the path: a token may be in it.
            status: of the answer.
            seconds: that it took.
            size: of the body as far as it was read, bytes.
            why: it was not accepted.
            client: address of the other side.
        """
        if self._off or (status == HTTPStatus.OK and not self.all):
            return
        second = int(self._now())
        if second != self._second:
            self._second, self._lines = second, 0
        if self._lines >= _PER_SECOND:
            self._left_out += 1
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
        if self._left_out:
            fields["lines_left_out"], self._left_out = self._left_out, 0
        log.info("webhook", **fields)
