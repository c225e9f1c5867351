"""All checks, each whatever became of the others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

from aftersend.config.settings import Settings
from aftersend.services.doctor.configuration import check_settings
from aftersend.services.doctor.findings import Finding, failed
from aftersend.services.doctor.kafka import check_group, check_kafka, check_topics, check_transactions
from aftersend.services.doctor.machine import check_disk, check_files
from aftersend.services.doctor.redis import check_redis
from aftersend.services.doctor.webhooks import check_webhooks

Check = Callable[[Settings], Awaitable[list[Finding]]]

#: In the order in which they are shown.
CHECKS: Final[tuple[tuple[str, Check], ...]] = (
    ("Kafka", check_kafka),
    ("Kafka: transactions", check_transactions),
    ("topics", check_topics),
    ("workers", check_group),
    ("Redis", check_redis),
    ("webhooks", check_webhooks),
    ("disk", check_disk),
    ("open files", check_files),
)
#: What has not answered by then is taken not to, seconds.
_PATIENCE: Final = 25.0


async def examine() -> AsyncIterator[Finding]:
    """Yield what the checks find, in their order; they run at the same time."""
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
    """Run a check; that it can't come to an end is a finding too."""
    try:
        async with asyncio.timeout(_PATIENCE):
            return await check(settings)
    except TimeoutError:
        return [failed(name, f"no answer within {_PATIENCE:g} s", "see whether the network lets this machine through")]
    except Exception as error:  # noqa: BLE001 - the other checks must be heard all the same
        return [failed(name, f"the check itself failed: {type(error).__name__}: {error}", "report this")]
