"""How much is tried: a portion in CI, all of it by `make fuzz`."""

from __future__ import annotations

import os
import random
from typing import Final

#: Times as much as in CI.
SCALE: Final = int(os.environ.get("FUZZ", "1"))
#: Another seed, other mutations; CI tries the same ones every time, so that a failure is of the change under test.
SEED: Final = os.environ.get("SEED", "1") if SCALE == 1 else os.environ.get("SEED") or str(random.randrange(2**31))
