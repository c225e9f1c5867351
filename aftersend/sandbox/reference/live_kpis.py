"""Reading the live KPIs from Redis."""

from __future__ import annotations

import redis.asyncio as redis_client

from aftersend.config.settings import Settings


async def read_redis(settings: Settings) -> dict[str, dict[str, str]]:
    """Return the hashes of all deliveries in Redis."""
    client = redis_client.from_url(settings.redis_url, decode_responses=True)
    prefix = f"{settings.redis_prefix}:kpi:"
    try:
        keys = [key async for key in client.scan_iter(f"{prefix}*")]
        pipe = client.pipeline(transaction=False)
        for key in keys:
            pipe.hgetall(key)
        hashes = await pipe.execute()
    finally:
        await client.aclose()
    return {key.removeprefix(prefix): fields for key, fields in zip(keys, hashes, strict=True) if fields}
