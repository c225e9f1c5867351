"""`aftersend worker` whose restores take their time, as those of tables with many millions of rows do."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from agents import track
from cli.main import main

_SECONDS = 8.0
_restore = track.restore


async def _slowly(*args: Any) -> int:
    sys.stderr.write("restore is slow\n")
    sys.stderr.flush()
    await asyncio.sleep(_SECONDS)
    return await _restore(*args)


if __name__ == "__main__":
    track.restore = _slowly
    sys.exit(main())
