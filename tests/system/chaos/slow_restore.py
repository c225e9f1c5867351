"""`aftersend worker` whose restores take their time, as those of tables with many millions of rows do."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from aftersend.agents import track
from aftersend.cli.main import main

_SECONDS = 8.0
_track: Any = track
_restore = _track.restore


async def _slowly(*args: Any) -> int:
    sys.stderr.write("restore is slow\n")
    sys.stderr.flush()
    await asyncio.sleep(_SECONDS)
    restored: int = await _restore(*args)
    return restored


if __name__ == "__main__":
    _track.restore = _slowly
    sys.exit(main())
