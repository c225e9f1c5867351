"""Checks of Redis: availability, version, memory, eviction, persistence, and its clock."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping
from typing import Any, Final

import redis.asyncio as redis_client
from redis.exceptions import RedisError

from aftersend.config.settings import Settings
from aftersend.services.doctor.findings import Finding, failed, ok, warning

_TIMEOUT_SECONDS: Final = 5.0
#: Measurements of latency and clock; their median counts.
_PINGS: Final = 5
_MIB: Final = 1024 * 1024
#: Used share of `maxmemory` above which to warn.
_FULL: Final = 0.85
#: Oldest version with all commands that the publisher uses.
_OLDEST: Final = (5, 0)
#: Difference of the clocks above which to warn, seconds.
_SKEW: Final = 2.0


async def check_redis(settings: Settings) -> list[Finding]:
    """Check Redis, over one connection."""
    where = settings.redis_url.rpartition("@")[2]  # without the password
    client = redis_client.from_url(
        settings.redis_url,
        decode_responses=True,
        socket_connect_timeout=_TIMEOUT_SECONDS,
        socket_timeout=_TIMEOUT_SECONDS,
    )
    try:
        await client.ping()
        pings, skews = [], []
        for _ in range(_PINGS):
            sent, before = time.monotonic(), time.time()
            seconds, micros = await client.time()
            pings.append(time.monotonic() - sent)
            # Redis read its clock about half-way between request and answer.
            skews.append(seconds + micros / 1e6 - (before + pings[-1] / 2))
        info: Mapping[str, Any] = await client.info()
    except (RedisError, OSError) as error:
        advice = "start it, or set AFTERSEND_REDIS_URL; workers continue without it, but there are no live KPIs"
        return [
            failed("Redis", f"Redis at {where} (AFTERSEND_REDIS_URL) does not answer: {error}", advice),
            warning("clock", "not compared: Redis does not answer", "see Redis"),
        ]
    finally:
        await client.aclose()
    return [
        _version(info, where, statistics.median(pings)),
        _memory(info),
        _eviction(info),
        _persistence(info),
        _skew(statistics.median(skews)),
    ]


def _version(info: Mapping[str, Any], where: str, ping: float) -> Finding:
    name = "Valkey" if "valkey_version" in info else "Redis"
    version = str(info.get("valkey_version") or info.get("redis_version", "0"))
    found = f"{name} {version} at {where}, answers in {ping * 1000:.1f} ms"
    if tuple(int(part) for part in version.split(".")[:2] if part.isdigit()) < _OLDEST:
        return warning("Redis", found, "use Redis 5 or later, or Valkey")
    if info.get("role") not in {"master", None}:
        advice = "set AFTERSEND_REDIS_URL to the primary: a replica takes no writes"
        return failed("Redis", f"{found}; it is a replica", advice)
    return ok("Redis", found)


def _memory(info: Mapping[str, Any]) -> Finding:
    check = "Redis: memory"
    used, most = int(info.get("used_memory", 0)), int(info.get("maxmemory", 0))
    if not most:
        return ok(check, f"{used / _MIB:.1f} MiB used, no limit set")
    found = f"{used / _MIB:.1f} of {most / _MIB:.0f} MiB used"
    if used > _FULL * most:
        advice = "raise maxmemory of Redis, or lower AFTERSEND_REDIS_EXPIRY_DAYS"
        return warning(check, found, advice)
    return ok(check, found)


def _eviction(info: Mapping[str, Any]) -> Finding:
    check = "Redis: eviction"
    policy, evicted = info.get("maxmemory_policy", "noeviction"), int(info.get("evicted_keys", 0))
    found = f"maxmemory-policy {policy}, {evicted:,} keys evicted so far"
    if policy != "noeviction":
        advice = (
            "set maxmemory-policy of Redis to noeviction: an evicted delivery is written again with its next event only"
        )
        return warning(check, found, advice)
    return ok(check, found)


def _persistence(info: Mapping[str, Any]) -> Finding:
    """Check persistence: it is not required, but if it fails, Redis refuses writes."""
    check = "Redis: persistence"
    append = bool(int(info.get("aof_enabled", 0)))
    kept = "append-only file" if append else "snapshots, or none"
    if info.get("rdb_last_bgsave_status", "ok") != "ok" or info.get("aof_last_write_status", "ok") != "ok":
        advice = "check the log and the disk of Redis: it may refuse writes until it can save"
        return failed(check, f"{kept}; the last save failed", advice)
    if int(info.get("loading", 0)):
        return warning(check, "Redis is loading its data", "wait until it has finished")
    return ok(check, f"{kept}; after data loss, Redis is repopulated from Kafka")


def _skew(skew: float) -> Finding:
    check = "clock"
    found = f"this machine's clock is {abs(skew):.3f} s {'behind' if skew > 0 else 'ahead of'} Redis'"
    if abs(skew) > _SKEW:
        return warning(
            check,
            found,
            "synchronise the clocks of the machines (NTP): the writer's clock sets the arrival of a record",
        )
    return ok(check, found)
