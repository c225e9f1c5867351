"""aiokafka's connections on uvloop: one that the other side has closed is broken, and nothing worse.

Writing to a closed transport raises OSError or nothing on asyncio's own loop, but RuntimeError on uvloop. aiokafka does
not expect that: its task that refreshes the metadata ends without a word, and with it all that waits for metadata, such
as the search for the group's coordinator. The worker is no member of its group any more then, and never will be.
"""

from __future__ import annotations

from typing import Any, Final

from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.errors import KafkaConnectionError, KafkaError

_send: Final = AIOKafkaConnection.send


def _mended_send(self: Any, request: Any, expect_response: bool = True) -> Any:  # noqa: FBT001, FBT002 - aiokafka's signature
    try:
        return _send(self, request, expect_response)
    except KafkaError:  # a RuntimeError itself
        raise
    except RuntimeError as error:
        self.close(reason=CloseReason.CONNECTION_BROKEN)
        raise KafkaConnectionError(f"Connection broken: {error}") from error


def mend() -> None:
    """Mend aiokafka's connections in this process."""
    AIOKafkaConnection.send = _mended_send
