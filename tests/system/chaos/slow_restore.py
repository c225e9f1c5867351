"""`aftersend worker` whose restores take their time, as those of tables with many millions of rows do."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import structlog

from agents import track
from cli.main import main

log = structlog.get_logger(__name__)

_SECONDS = 4.0
_restore = track.restore


async def _slowly(*args: Any) -> int:  # noqa: ANN401 - handed on
    log.info("restore is slow")
    await asyncio.sleep(_SECONDS)
    return await _restore(*args)


if __name__ == "__main__":
    track.restore = _slowly
    sys.exit(main())
