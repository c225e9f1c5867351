"""What the gateway tells of its work; `aftersend gateway` makes metrics of it."""

from __future__ import annotations

from typing import Protocol


class Recorder(Protocol):
    """Is told of every request; has to be quick."""

    def answered(self, source: str, code: int, body_bytes: int, ack_seconds: float | None = None) -> None:
        """Count a request that was answered.

        Args:
            source: as the path names it, whatever that is.
            code: the HTTP status; 499: the other side was gone before there was one.
            body_bytes: as far as the body was read.
            ack_seconds: from the end of the body until Kafka's acknowledgement, None where the body did not get there.
        """
