"""For how long tests wait."""

from typing import Final

#: Bound of any wait for an event, seconds: it ends a hang; a slow machine never reaches it.
PATIENCE: Final = 240.0
