"""Cancelling asyncio tasks."""

from __future__ import annotations

import asyncio
from typing import Any, Final

#: Between two attempts to cancel, seconds.
_RETRY_SECONDS: Final = 1.0


async def cancel(task: asyncio.Task[Any]) -> None:
    """Cancel a task until it ends: `asyncio.wait_for` inside a library may swallow a cancellation (Python 3.11)."""
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=_RETRY_SECONDS)
