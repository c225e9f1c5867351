"""Ending tasks."""

from __future__ import annotations

import asyncio
from typing import Any, Final

_CANCEL_SECONDS: Final = 1.0


async def cancel(task: asyncio.Task[Any]) -> None:
    """End a task; again and again, since `asyncio.wait_for` in a library may swallow a cancellation (Python 3.11)."""
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=_CANCEL_SECONDS)
