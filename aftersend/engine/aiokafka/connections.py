"""Patch of aiokafka's connections for uvloop: a write to a closed connection is a KafkaConnectionError.

A write to a closed transport raises OSError or nothing on asyncio's own loop, but RuntimeError on uvloop. aiokafka
does not handle that: its task that refreshes the metadata ends silently. Without metadata the group's coordinator is
never found again, so the worker leaves its group and never comes back.
"""

from __future__ import annotations

from typing import Any, Final

from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.errors import KafkaConnectionError, KafkaError

_send: Final = AIOKafkaConnection.send


def _send_or_close(self: Any, request: Any, expect_response: bool = True) -> Any:  # noqa: FBT001, FBT002 - aiokafka's signature
    try:
        return _send(self, request, expect_response)
    except KafkaError:  # a subclass of RuntimeError
        raise
    except RuntimeError as error:
        self.close(reason=CloseReason.CONNECTION_BROKEN)
        raise KafkaConnectionError(f"Connection broken: {error}") from error


def patch() -> None:
    """Apply the patch; `aftersend.engine.aiokafka.patches` calls this."""
    AIOKafkaConnection.send = _send_or_close


def is_patched() -> bool:
    """Return whether the patch is applied."""
    return AIOKafkaConnection.send is _send_or_close
