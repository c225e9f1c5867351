"""Declared deliveries on real servers: folded by their own times, through a restart, and as the commands show them."""

from __future__ import annotations

import asyncio
import json
import time
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from zlib import crc32

import aiohttp
import pytest

from aftersend.errors import EXIT_FAILED, EXIT_OK, EXIT_USAGE
from aftersend.services.deliveries.overview import DeliveryOverview, read_declared, read_deliveries
from aftersend.sources.signing.standard_webhooks import sign
from tests.patience import PATIENCE
from tests.system.chaos.installation import Input, Installation
from tests.system.gateways import GatewayProcess

HOUR: Final = 3600.0
NOW: Final = float(int(time.time()))
PEOPLE: Final = [f"r{number}@example.org" for number in range(12)]

Install = Callable[..., Installation]


def sender_record(installation: Installation, at: float, **fields: Any) -> Input:
    """Return a raw record of the sender that arrives at a time."""
    value = json.dumps(fields).encode()
    topic = installation.topics.raw("sender")
    return Input(topic, crc32(value) % 4, None, value, int(at * 1000))


def happened(installation: Installation, at: float, kind: str, delivery: str, recipient: str) -> Input:
    """Return a raw record of the sender's tracker that arrives at a time."""
    event = {"event": kind, "delivery_id": delivery, "recipient": recipient, "time": at}
    return Input(installation.topics.raw("tracking"), 0, None, json.dumps(event).encode(), int(at * 1000))


def declared(installation: Installation, at: float, delivery: str, **fields: Any) -> Input:
    return sender_record(installation, at, type="delivery", delivery_id=delivery, **fields)


def sent(installation: Installation, at: float, delivery: str) -> list[Input]:
    return [sender_record(installation, at, type="sent", delivery_id=delivery, recipient=person) for person in PEOPLE]


async def known(installation: Installation) -> dict[str, DeliveryOverview]:
    return await read_deliveries(installation.settings)


async def expired(installation: Installation, delivery: str, number: int) -> None:
    """Wait until a tick has ended so many waits: the workers' clock need not have ticked since they began."""
    deadline = time.monotonic() + PATIENCE
    seen: dict[str, Any] = {}
    while time.monotonic() < deadline:
        code, output = await installation.command("kpi", delivery, "--json")
        seen = json.loads(output)["kpis"] if code == 0 else {}
        if seen.get("expired") == number:
            return
        await asyncio.sleep(0.5)
    pytest.fail(f"{number} waits of {delivery} should have ended: {seen}")


async def test_rows_follow_the_declaration_of_their_delivery(install: Install) -> None:
    """Expiry by the delivery's own window, freeze by its own period; another delivery goes by the settings."""
    installation = install()
    (worker,) = await installation.start()
    begin = NOW - 10 * HOUR
    await installation.write(
        [
            declared(
                installation, begin, "short", name="Short", validity_hours=1, statistics_update_period_days=5 / 24
            ),
            declared(installation, begin, "long", validity_days=3.5, start=begin - 24 * HOUR),
        ]
    )
    await installation.await_caught_up()
    worker.kill()  # what was declared must be there after a restart, though no event has come yet
    await worker.wait()
    worker.start()
    await installation.write(
        record for delivery in ("short", "long", "plain") for record in sent(installation, begin + HOUR, delivery)
    )
    await installation.await_caught_up()
    worker.kill()
    await worker.wait()
    worker.start()
    await installation.write(
        [
            happened(installation, begin + 7 * HOUR, "open", delivery, PEOPLE[0])
            for delivery in ("short", "long", "plain")
        ]
    )
    await expired(installation, "short", len(PEOPLE))
    report = await installation.finish()

    short, long, plain = (report.kpis[delivery] for delivery in ("short", "long", "plain"))
    assert (len(PEOPLE), len(PEOPLE), 1, 0) == (
        short["expired"],
        short["status_unknown"],
        short["late"],
        short["unique_opens"],
    )
    assert (0, 1, 0) == (long["expired"], long["unique_opens"], long["late"])
    assert (0, 1, 0) == (plain["expired"], plain["unique_opens"], plain["late"])


async def test_a_later_declaration_applies_from_then_on(install: Install) -> None:
    """What waits goes by the new window; the same declaration again, or an older one, changes nothing."""
    installation = install()
    await installation.start(2)
    await installation.write([declared(installation, NOW - 9 * HOUR, "d", validity_hours=1000, event_id="first")])
    await installation.await_caught_up()
    await installation.write(sent(installation, NOW - 8 * HOUR, "d"))
    await installation.await_caught_up()
    assert (await known(installation))["d"].kpis is not None
    await installation.write([declared(installation, NOW - 7 * HOUR, "d", validity_hours=2, name="Two", event_id="2")])
    await installation.await_caught_up()
    await installation.write(
        [
            declared(installation, NOW - 7.5 * HOUR, "d", name="Overtaken", event_id="overtaken"),
            declared(installation, NOW - 6 * HOUR, "d", name="Two", validity_hours=2, event_id="2"),
        ]
    )
    await expired(installation, "d", len(PEOPLE))
    report = await installation.finish()

    assert len(PEOPLE) == report.kpis["d"]["expired"]
    (delivery,) = (await read_declared(installation.settings)).values()
    assert ("Two", "2", NOW - 7 * HOUR) == (delivery.name, delivery.event_id, delivery.declared_at)


async def test_a_sender_declares_through_the_gateway(install: Install) -> None:
    """Signed as Standard Webhooks has it; what is not signed, or not now, does not come in."""
    installation = install()
    await installation.start()
    secret = f"whsec_{b64encode(bytes(32)).decode()}"
    gateway = GatewayProcess(installation, gateway_secrets={"sender": secret})
    await gateway.start()
    body = json.dumps(
        [
            {"type": "delivery", "delivery_id": "spring", "name": "Spring sale", "expected_audience": 1},
            {"type": "planned", "delivery_id": "spring", "recipient": PEOPLE[0]},
        ]
    ).encode()
    now = int(time.time())
    genuine = sign(secret, "msg-1", now, body)
    try:
        async with aiohttp.ClientSession(headers={"Content-Type": "application/json"}) as session:
            statuses = []
            for headers in (
                genuine,
                genuine,
                sign(secret, "msg-1", now - 400, body),
                genuine | {"webhook-id": "x"},
                {},
            ):
                async with session.post(f"{gateway.url}/webhooks/sender", data=body, headers=headers) as answer:
                    statuses.append(answer.status)
    finally:
        gateway.close()
    assert [200, 200, 401, 401, 401] == statuses
    report = await installation.finish()

    assert (1, 1) == (report.kpis["spring"]["audience"], report.kpis["spring"]["duplicate"])
    shown = (await read_declared(installation.settings))["spring"]
    assert ("Spring sale", 1) == (shown.name, shown.expected_audience)


async def test_the_commands_list_show_and_declare_deliveries(install: Install, tmp_path: Path) -> None:
    """Declared with `set`, loaded with `audience load` twice, and listed with what was heard of them."""
    installation = install()
    await installation.start()
    assert (EXIT_OK, "") == await said_nothing(installation, "deliveries", "list", "--json")
    code, text = await installation.command("deliveries", "set", "spring", "--name", "Spring sale", "--policy", "efs")
    assert EXIT_OK == code, text
    await installation.await_caught_up()
    code, text = await installation.command("deliveries", "set", "spring", "--validity-days", "2", "--tenant", "acme")
    assert EXIT_OK == code, text
    await installation.await_caught_up()

    file = tmp_path / "audience.csv"
    file.write_text(
        "name;E-Mail;test\nJane;Jane@Example.org;\nJo;jo@example.org;yes\nJane;JANE@example.org;\n"
        "Max;max@@example;\nNobody;;\n",
        encoding="utf-8-sig",
    )
    load = ("audience", "load", "spring", str(file), "--test-column", "test", "--json")
    for _ in range(2):
        code, text = await installation.command(*load)
        assert EXIT_OK == code, text
        assert {"lines": 5, "recipients": 2, "tests": 1, "duplicates": 1, "invalid": 1, "empty": 1} == {
            name: number for name, number in json.loads(text).items() if type(number) is int
        }
    await installation.write([happened(installation, NOW, "open", "heard-of", "jane@example.org")])
    await installation.await_caught_up()

    code, text = await installation.command("deliveries", "list", "--json")
    listed = {one["delivery_id"]: one for one in map(json.loads, text.splitlines())}
    assert {"spring", "heard-of"} == set(listed)
    assert ("Spring sale", "efs", "acme", 48.0, 2, True) == tuple(
        listed["spring"][name] for name in ("name", "policy", "tenant", "validity_hours", "audience", "declared")
    )
    assert (False, 1) == (listed["heard-of"]["declared"], listed["heard-of"]["audience"])
    code, text = await installation.command("deliveries", "show", "spring")
    assert (EXIT_OK, True) == (code, "Spring sale" in text), text
    assert EXIT_FAILED == (await installation.command("deliveries", "show", "nothing"))[0]
    assert EXIT_USAGE == (await installation.command("deliveries", "set", "spring"))[0]
    assert EXIT_USAGE == (await installation.command("deliveries", "set", "spring", "--validity-hours", "-1"))[0]

    report = await installation.finish()
    spring = report.kpis["spring"]
    assert (2, 1, 1, 1, 0) == tuple(
        spring[name]
        for name in ("audience", "status_planned", "status_not_sent_invalid_address", "duplicate_address", "late")
    )
    # Of five lines each: two planned (one of them to a test address), a copy, and an invalid address.
    assert (3, 1, 4) == (spring["applied"] + spring["lower_priority"], spring["test"], spring["duplicate"])


async def test_a_delivery_that_is_declared_but_silent_has_its_page(install: Callable[..., Installation]) -> None:
    """Planned, zero so far: `kpi` by either source and in views, and `top`."""
    installation = install()
    await installation.start()
    words = ("--name", "Quiet", "--expected-audience", "100")
    assert EXIT_OK == (await installation.command("deliveries", "set", "quiet", *words))[0]
    await installation.write([happened(installation, NOW, "open", "heard-of", "jane@example.org")])
    await installation.await_caught_up()

    for source in ((), ("--from", "kafka")):
        code, text = await installation.command("kpi", "quiet", "--json", *source)
        shown = json.loads(text)
        assert (EXIT_OK, True, 100, {0}) == (
            code,
            shown["silent"],
            shown["expected_audience"],
            set(shown["kpis"].values()),
        )
        code, text = await installation.command("kpi", "--json", *source)
        assert {"quiet": True, "heard-of": False} == {
            one["delivery_id"]: one.get("silent", False) for one in map(json.loads, text.splitlines())
        }
    code, text = await installation.command("kpi", "quiet")
    assert (EXIT_OK, True) == (code, "declared, without an event so far, 100 recipients expected" in text), text
    code, text = await installation.command("kpi", "quiet", "--view", "creatio", "--json")
    assert (EXIT_OK, {0}) == (code, set(json.loads(text)["views"]["creatio"]["counts"].values()))
    code, text = await installation.command("top", "--once", "--json", "--interval", "0.2")
    assert {"quiet", "heard-of"} == {one["delivery_id"] for one in json.loads(text)["deliveries"]}
    assert EXIT_FAILED == (await installation.command("kpi", "nothing"))[0]
    await installation.finish()


async def said_nothing(installation: Installation, *words: str) -> tuple[int, str]:
    code, text = await installation.command(*words)
    return code, text.strip()
