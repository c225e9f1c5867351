"""aiokafka is patched before the first client is made, in every process that makes one."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka.conn import AIOKafkaConnection
from aiokafka.consumer import consumer, fetcher

from aftersend.engine.aiokafka import connections, fetch_limits, patches, records
from tests.paths import ROOT

#: Event loops in which no Kafka client is made.
WITHOUT_KAFKA = {
    "aftersend/processes/supervisor.py:supervise",  # starts and stops processes
    "benchmarks/gateway.py:load_generator",  # HTTP only
}
LOOPS = {"asyncio.run", "asyncio.Runner", "uvloop.run"}


def in_new_process(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "statement",
    [
        "changelog._consumer({})",
        "TransactionalWriter({}, 'id', 'group', 1.0)",
    ],
)
def test_a_client_before_the_patches_is_an_error(statement: str) -> None:
    ended = in_new_process(
        "from aftersend.engine import changelog\n"
        "from aftersend.engine.transaction import TransactionalWriter\n"
        f"{statement}"
    )
    assert "patches.apply() comes before the first Kafka client" in ended.stderr


def test_all_patches_are_applied_by_one_call() -> None:
    patches.apply()
    patches.apply()
    patches.require()
    assert connections._send_or_close is AIOKafkaConnection.send
    assert fetch_limits._LimitingFetcher is consumer.Fetcher
    assert (records._PartitionRecords, records._FetchResult) == (fetcher.PartitionRecords, fetcher.FetchResult)


def sources() -> Iterator[Path]:
    for folder in ("aftersend", "agents", "tables", "schemas", "benchmarks"):
        yield from (path for path in (ROOT / folder).rglob("*.py") if not path.is_symlink())


def calls(tree: ast.AST) -> list[str]:
    return [ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)]


def event_loops() -> dict[str, bool]:
    """Return the functions that start an event loop, and whether they apply the patches."""
    found = {}
    for path in sources():
        place = path.relative_to(ROOT).as_posix()
        for function in ast.walk(ast.parse(path.read_text())):
            if not isinstance(function, ast.FunctionDef):
                continue
            called = calls(function)
            if LOOPS & set(called):
                found[f"{place}:{function.name}"] = "patches.apply" in called
    return found


def test_every_process_that_uses_kafka_applies_the_patches() -> None:
    """Whoever starts an event loop applies them first, or is listed above as one without Kafka."""
    loops = event_loops()
    assert {"aftersend/processes/worker.py:run_worker", "aftersend/processes/gateway.py:run_gateway"} <= loops.keys()
    assert sorted(WITHOUT_KAFKA) == sorted(place for place, applies in loops.items() if not applies)
