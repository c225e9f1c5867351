"""Findings about Redis' information about itself."""

from typing import Any

import pytest

from aftersend.services.doctor.redis import _eviction, _memory, _persistence, _skew, _version

INFO: dict[str, Any] = {"redis_version": "7.2.4", "role": "master", "used_memory": 1 << 20, "maxmemory": 0}


@pytest.mark.parametrize(
    "changes, result, words",
    [
        ({}, "ok", "Redis 7.2.4 at here"),
        ({"valkey_version": "9.0.1"}, "ok", "Valkey 9.0.1"),
        ({"redis_version": "4.0.14"}, "warning", "Redis 4.0.14"),
        ({"role": "slave"}, "failed", "it is a replica"),
    ],
)
def test_version_and_role_are_shown(changes: dict[str, Any], result: str, words: str) -> None:
    found = _version(INFO | changes, "here", 0.001)

    assert result == found.result
    assert words in found.found


@pytest.mark.parametrize("most, result", [(0, "ok"), (2 << 20, "ok"), (1 << 20, "warning")])
def test_memory(most: int, result: str) -> None:
    assert result == _memory(INFO | {"maxmemory": most}).result


def test_eviction_is_a_warning() -> None:
    assert "ok" == _eviction({"maxmemory_policy": "noeviction"}).result
    found = _eviction({"maxmemory_policy": "allkeys-lru", "evicted_keys": 12_000})

    assert ("warning", "maxmemory-policy allkeys-lru, 12,000 keys evicted so far") == (found.result, found.found)
    assert "noeviction" in found.advice


@pytest.mark.parametrize(
    "changes, result",
    [
        ({}, "ok"),
        ({"aof_enabled": 1}, "ok"),
        ({"rdb_last_bgsave_status": "err"}, "failed"),
        ({"aof_last_write_status": "err"}, "failed"),
        ({"loading": 1}, "warning"),
    ],
)
def test_persistence(changes: dict[str, Any], result: str) -> None:
    assert result == _persistence(INFO | changes).result


@pytest.mark.parametrize(
    "skew, result, words",
    [(0.1, "ok", "behind"), (3.0, "warning", "3.000 s behind"), (-5.0, "warning", "5.000 s ahead")],
)
def test_clocks_that_differ(skew: float, result: str, words: str) -> None:
    found = _skew(skew)

    assert result == found.result
    assert words in found.found
