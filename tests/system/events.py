"""Canonical events for system tests, written to the events topic as normalise writes them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from aftersend.schemas.event import Feedback
from aftersend.schemas.partitioning import partition_of
from tests.system.chaos.installation import Input, Installation


def event_input(
    installation: Installation, at: float, kind: str, delivery: str, recipient: str, **fields: Any
) -> Input:
    """Return an event that arrives at a time, seconds since 1970."""
    event = Feedback(f"{delivery}/{recipient}/{kind}/{at}", delivery, recipient, kind, source="tracking", **fields)
    partition = partition_of(recipient, installation.settings.partitions)
    return Input(installation.topics.events, partition, recipient.encode(), msgspec.json.encode(event), int(at * 1000))


async def write_events(
    installation: Installation, at: float, kind: str, delivery: str, recipients: Iterable[str], **fields: Any
) -> None:
    """Write the same event of some recipients, and wait until it is folded."""
    await installation.write(
        [event_input(installation, at, kind, delivery, recipient, **fields) for recipient in recipients]
    )
    await installation.await_caught_up()
