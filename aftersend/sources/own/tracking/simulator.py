"""Writes records as the sender's own tracker, unsubscribe page and campaign tool do.

Read by `aftersend.sources.own.tracking.parser`.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from aftersend.sources.simulation.message import TENANT, Message, rfc3339
from aftersend.sources.simulation.simulator import Simulator
from aftersend.sources.simulation.user_agents import PROXIES, READERS, SCANNERS

#: By step: the event, whose user agents, and what else the record says.
_EVENTS: Final[dict[str, tuple[str, tuple[str, ...], dict[str, Any]]]] = {
    "open": ("open", READERS, {}),
    "machine_open": ("open", PROXIES, {}),
    "click": ("click", READERS, {}),
    "machine_click": ("click", SCANNERS, {}),
    "unsubscribe_click": ("click", READERS, {}),
    "unsubscribe": ("unsubscribe", READERS, {}),
    "one_click": ("unsubscribe", (), {"one_click": True}),
    "resubscribe": ("resubscribe", READERS, {}),
    "planned": ("planned", (), {}),
    "ready": ("ready", (), {}),
    "not_sent": ("not_sent", (), {}),
}

_encode: Final = msgspec.json.Encoder().encode


def write(message: Message, step: str, number: int, at: float) -> bytes | None:
    """Return a tracker's record; None: the tracker takes no part in such a step.

    Args:
        message: what it is about.
        step: a name in `journeys`.
        number: which step of the message's journey it is.
        at: when it happened, seconds since 1970.
    """
    if step not in _EVENTS:
        return None
    event, agents, more = _EVENTS[step]
    record: dict[str, Any] = {
        "event": event,
        "id": f"{message.ident[:24]}-{number}",
        "recipient": message.person.tracked,
        "time": rfc3339(at),
        "message_id": message.ident,
        "message_type": message.delivery.message_type,
        "tenant": TENANT,
        **more,
    }
    if message.attributed:
        record["delivery_id"] = message.delivery.id
    if message.test:
        record["test"] = True
    if agents:
        # A reader keeps to one device; scanners and proxies come as they come.
        record["user_agent"] = agents[message.chance(0 if agents is READERS else number, len(agents))]
        record["ip"] = f"198.51.100.{message.chance(4, 250) + 1}"
    if step == "unsubscribe_click":
        record["url"] = f"https://brand.example/unsubscribe?u={message.ident[:12]}"
    elif event == "click":
        record["url"] = message.delivery.link
    elif event == "not_sent":
        record["reason"] = message.left_out
    return _encode(record)


def broken(number: int, at: float) -> bytes:
    """Return a record without an event, as faulty software of the sender's might write one."""
    return _encode({"id": f"broken-{number}", "time": rfc3339(at)})


SIMULATOR: Final = Simulator(write=write, broken=broken, tracks=True)
