"""Runs all checks, independently of each other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

from aftersend.config.settings import Settings
from aftersend.services.doctor.configuration import check_settings
from aftersend.services.doctor.findings import Finding, failed
from aftersend.services.doctor.kafka import check_group, check_kafka, check_state, check_topics, check_transactions
from aftersend.services.doctor.machine import check_disk, check_files
from aftersend.services.doctor.ownership import check_owner, check_positions
from aftersend.services.doctor.redis import check_redis
from aftersend.services.doctor.webhooks import check_webhooks

Check = Callable[[Settings], Awaitable[list[Finding]]]

#: Checks by name, in the order of the output.
CHECKS: Final[tuple[tuple[str, Check], ...]] = (
    ("Kafka", check_kafka),
    ("Kafka: transactions", check_transactions),
    ("topics", check_topics),
    ("owner", check_owner),
    ("state", check_state),
    ("workers", check_group),
    ("positions", check_positions),
    ("Redis", check_redis),
    ("webhooks", check_webhooks),
    ("disk", check_disk),
    ("open files", check_files),
)
#: A check fails after this time, seconds.
_TIMEOUT_SECONDS: Final = 25.0


async def examine() -> AsyncIterator[Finding]:
    """Yield the findings in the order of the checks, which run concurrently."""
    findings, settings = check_settings()
    for finding in findings:
        yield finding
    running = [asyncio.ensure_future(_guarded(name, check, settings)) for name, check in CHECKS]
    try:
        for task in running:
            for finding in await task:
                yield finding
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def _guarded(name: str, check: Check, settings: Settings) -> list[Finding]:
    """Run a check; an error or a timeout is a finding."""
    try:
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            return await check(settings)
    except TimeoutError:
        return [
            failed(
                name,
                f"no answer within {_TIMEOUT_SECONDS:g} s",
                "check the network between this machine and the server",
            )
        ]
    except Exception as error:  # noqa: BLE001 - an error in one check must not stop the others
        return [
            failed(name, f"the check itself failed: {type(error).__name__}: {error}", "report it as a bug of Aftersend")
        ]
