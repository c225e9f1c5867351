"""Which installation the keys of a prefix in Redis belong to: two would adjust each other's totals."""

from __future__ import annotations

from typing import Any

import structlog

from aftersend.errors import RedisOwnedError

log = structlog.get_logger(__name__)


def owner_key(prefix: str) -> str:
    """Return the key that names the owner."""
    return f"{prefix}:owner"


async def claim(client: Any, prefix: str, own: str) -> None:
    """Claim a prefix that has no owner, and check one that has.

    Args:
        client: of Redis, with `decode_responses=True`.
        prefix: of the keys.
        own: this installation, as cluster and application.

    Raises:
        RedisOwnedError: if the prefix belongs to another installation.
        RedisError: if Redis does not answer.
    """
    key = owner_key(prefix)
    owner = await client.get(key)
    if owner is None:
        if await client.set(key, own, nx=True):
            log.info("redis prefix claimed", prefix=prefix, owner=own)
        owner = await client.get(key)
    if owner != own:
        raise RedisOwnedError(prefix, str(owner), own)
