"""Which tests of a run go to which of several processes; each process has a Kafka and a Redis of its own.

System tests mostly wait, so that more of them than there are cores make the run shorter. They go out one by one, but
for files whose tests share an installation; all others go file by file.
"""

from __future__ import annotations

import os
from typing import Any, Final

import pytest
from xdist.scheduler import LoadScopeScheduling

SYSTEM: Final = "tests/system/"
#: System tests that share what takes long to make, so that they are better together.
TOGETHER: Final = frozenset(f"{SYSTEM}{name}.py" for name in ("test_cases", "test_cli"))

_MOST: Final = 4
#: What a process takes at most with its servers and the workers of a test.
_BYTES: Final = 2 * 1024**3


class Sharing(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Hands out units in the order in which they were collected."""

    def __init__(self, config: pytest.Config, log: Any) -> None:
        """Take xdist's arguments."""
        config.option.loadscopereorder = False
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        return unit_of(nodeid)


def unit_of(nodeid: str) -> str:
    """Return what a test is handed out with: its file, or nothing but itself."""
    path = nodeid.partition("::")[0]
    return nodeid if path.startswith(SYSTEM) and path not in TOGETHER else path


def processes(cores: int, memory: int) -> int:
    """Return how many processes share a run; 0: there is nobody to share with."""
    number = min(_MOST, cores + 1, memory // _BYTES)
    return number if number > 1 else 0


def of_this_machine() -> int:
    """Return how many processes share a run here."""
    return processes(os.cpu_count() or 1, os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))


def is_whole(config: pytest.Config) -> bool:
    """Return whether a run has all tests, and nobody wants to look on."""
    return not (
        config.option.keyword or config.option.capture == "no" or config.args_source is pytest.Config.ArgsSource.ARGS
    )


def ports(worker: str) -> range:
    """Return the ports of a process, by its name (gw0, gw1, …); of no process the whole range."""
    first, last = 20_000, 32_000
    if not worker:
        return range(first, last)
    width = (last - first) // (2 * _MOST)
    begin = first + int(worker.removeprefix("gw")) % (2 * _MOST) * width
    return range(begin, begin + width)


def in_order(items: list[pytest.Item]) -> None:
    """Put what takes long first, so that no process is left with it in the end; files stay in one piece."""
    items.sort(key=_rank)


def _rank(item: pytest.Item) -> int:
    path = item.nodeid.partition("::")[0]
    if not path.startswith(SYSTEM):
        return 2
    return 0 if path in TOGETHER or item.get_closest_marker("slow") else 1
