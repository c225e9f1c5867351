"""How the tests of a run are shared by several processes."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests import sharing

ROOT = Path(__file__).parents[2]
#: A fixture of a whole file that needs a server.
COSTLY = re.compile(r'@pytest\.fixture\(scope="module"\)\n(?:async )?def \w+\([^)]*\bkafka\b')
GIB = 1024**3


@pytest.mark.parametrize(
    "cores, memory, number",
    [(1, 8 * GIB, 2), (2, 24 * GIB, 3), (3, 24 * GIB, 4), (64, 256 * GIB, 4), (2, 5 * GIB, 2), (2, 3 * GIB, 0)],
)
def test_there_are_more_processes_than_cores_where_memory_allows_it(cores: int, memory: int, number: int) -> None:
    assert number == sharing.processes(cores, memory)


def test_system_tests_go_out_one_by_one_but_for_those_that_share_an_installation() -> None:
    assert "tests/system/test_api.py::test_a[x]" == sharing.unit_of("tests/system/test_api.py::test_a[x]")
    assert "tests/system/test_cli.py" == sharing.unit_of("tests/system/test_cli.py::test_a")
    assert "tests/unit/test_rooms.py" == sharing.unit_of("tests/unit/test_rooms.py::test_a[b::c]")


def test_files_whose_tests_share_an_installation_are_known() -> None:
    paths = sorted((ROOT / sharing.SYSTEM).glob("test_*.py"))
    costly = {path.relative_to(ROOT).as_posix() for path in paths if COSTLY.search(path.read_text())}
    assert sharing.TOGETHER == costly


def test_what_takes_long_comes_first() -> None:
    def item(nodeid: str, *, slow: bool = False) -> Any:
        return SimpleNamespace(nodeid=nodeid, get_closest_marker=lambda _name: slow or None)

    items = [
        item("tests/system/test_api.py::a"),
        item("tests/system/test_api.py::b", slow=True),
        item("tests/system/test_cli.py::c"),
        item("tests/unit/test_decisions.py::d", slow=True),
        item("tests/system/test_log.py::e"),
    ]
    sharing.in_order(items)
    assert "bcaed" == "".join(one.nodeid[-1] for one in items)


def test_no_two_processes_have_a_port_in_common() -> None:
    everyone = sharing.ports("")
    seen: set[int] = set()
    for number in range(4):
        own = sharing.ports(f"gw{number}")
        assert len(own) >= 1000
        assert set(own) <= set(everyone)
        assert not seen & set(own)
        seen |= set(own)
