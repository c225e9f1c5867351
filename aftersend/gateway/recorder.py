"""Interface between the gateway and its metrics."""

from __future__ import annotations

from typing import Protocol


class RequestRecorder(Protocol):
    """Counts requests. Called synchronously for every one, so it must be quick."""

    def answered(self, source: str, code: int, body_bytes: int, ack_seconds: float | None = None) -> None:
        """Count an answered request.

        Args:
            source: name; "": the path is of no source.
            code: HTTP status; 499: the client disconnected before the answer.
            body_bytes: bytes of the body that were read.
            ack_seconds: from the end of the body until Kafka's acknowledgement; None: the body was not stored.
        """
