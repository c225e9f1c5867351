"""Alerts on deliveries, on real servers: once per crossing, through kills, with two who believe that they lead."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import aiohttp
import pytest

from aftersend.agents.alerts import AlertMonitor
from aftersend.engine import changelog
from aftersend.engine.aiokafka.records import FetchedRecord
from aftersend.sandbox.embedded.ports import pick_free
from aftersend.schemas.alert import DeliveryAlert
from aftersend.services.installation import alert_thresholds, fold_timing
from aftersend.services.kpis.stored import read_stored
from aftersend.tables.alerts import DeliveryAlerts
from tests.patience import PATIENCE
from tests.system.chaos.installation import Input, Installation
from tests.system.events import event_input, write_events

NOW: Final = float(int(time.time())) - 3600.0
DAY: Final = 86_400.0
PEOPLE: Final = [f"r{number}@example.org" for number in range(240)]

Install = Callable[..., Installation]


async def told(installation: Installation) -> list[dict[str, Any]]:
    """Return all that is on the alerts topic, committed."""
    found: list[dict[str, Any]] = []

    def apply(_topic: str, _partition: int, records: list[FetchedRecord]) -> None:
        for record in records:
            value = json.loads(record.value or b"")
            assert f"{value['delivery_id']}\t{value['alert']}".encode() == record.key
            found.append(value)

    await changelog.read(installation.settings.kafka_options(), {(installation.topics.alerts, 0): None}, apply)
    return found


async def until_told(installation: Installation, number: int) -> list[dict[str, Any]]:
    deadline = time.monotonic() + PATIENCE
    while len(found := await told(installation)) < number:
        assert time.monotonic() < deadline, found
        await asyncio.sleep(0.3)
    return found


def short(alerts: Sequence[dict[str, Any]]) -> list[tuple[str, str, str, int]]:
    return [(one["delivery_id"], one["alert"], one["state"], one["version"]) for one in alerts]


async def page(port: int) -> list[str]:
    """Return what a worker shows of alerts."""
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/metrics") as answer:
        lines = (await answer.text()).splitlines()
    return [line for line in lines if line.startswith(("aftersend_delivery_alert", "aftersend_alerts_total"))]


async def test_raised_once_and_ended(install: Install) -> None:
    """By the sum over partitions, by the tenant's thresholds, through kills, with metrics; closed deliveries never."""
    (port,) = pick_free(1)
    installation = install(alert_thresholds={"acme": {"hard_bounces": 0.5}}, web_port=port)
    (worker,) = await installation.start()
    declared = (
        {"type": "delivery", "delivery_id": "own", "tenant": "acme"},
        {"type": "delivery", "delivery_id": "closed", "start": NOW - 31 * DAY},
    )
    await installation.write(
        Input(installation.topics.raw("sender"), 0, None, json.dumps(declaration).encode(), int(NOW * 1000))
        for declaration in declared
    )
    await installation.await_caught_up()
    for delivery in ("sale", "own"):
        await write_events(installation, NOW, "sent", delivery, PEOPLE[:120])
        await write_events(installation, NOW + 1, "hard_bounce", delivery, PEOPLE[:6])
    await write_events(installation, NOW - 31 * DAY, "hard_bounce", "closed", PEOPLE[:120])
    assert [] == await told(installation)
    await write_events(installation, NOW + 2, "hard_bounce", "sale", PEOPLE[6:7])
    await write_events(installation, NOW + 2, "hard_bounce", "own", PEOPLE[6:7])
    (first,) = await until_told(installation, 1)
    assert ("sale", "raised", 7, "hard_bounced", 120, "sent", NOW + 2) == tuple(
        first[name]
        for name in ("delivery_id", "state", "numerator", "numerator_name", "denominator", "denominator_name", "at")
    )
    assert 'aftersend_delivery_alert{alert="hard_bounces",delivery="sale"} 1.0' in await page(port)
    assert 'aftersend_alerts_total{alert="hard_bounces",state="raised"} 1.0' in await page(port)

    worker.kill()
    await worker.wait()
    worker.start()
    await write_events(installation, NOW + 3, "hard_bounce", "sale", PEOPLE[7:9])
    deadline = time.monotonic() + PATIENCE
    while not any('delivery="sale"' in line for line in await page(port)):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.2)
    assert [("sale", "hard_bounces", "raised", 1)] == short(await told(installation))

    await write_events(installation, NOW + 4, "sent", "sale", PEOPLE[120:220])
    assert ("sale", "hard_bounces", "ended", 2) == short(await until_told(installation, 2))[-1]
    assert not any("sale" in line for line in await page(port))
    worker.kill()
    await worker.wait()
    await installation.write(
        [event_input(installation, NOW + 5, "hard_bounce", "sale", recipient) for recipient in PEOPLE[100:110]]
    )
    worker.start()
    assert ("sale", "hard_bounces", "raised", 3) == short(await until_told(installation, 3))[-1]
    await installation.finish()
    assert 3 == len(await told(installation))


@pytest.mark.timeout(720)
async def test_kills_while_shares_go_up_and_down(install: Install) -> None:
    """Each delivery's records are raised and ended in turn, and the last one is what its KPIs say."""
    installation = install()
    await installation.start(2)
    choose = random.Random(5)
    deliveries = [f"d{number}" for number in range(6)]
    for round_ in range(4):
        records = [
            event_input(installation, NOW + round_, kind, delivery, recipient)
            for delivery in deliveries
            for kind, recipient in [
                *(("sent", person) for person in choose.sample(PEOPLE, 60)),
                *(("hard_bounce", person) for person in choose.sample(PEOPLE, choose.randrange(8))),
            ]
        ]
        writing = asyncio.create_task(installation.write(records, rate=150))
        await asyncio.sleep(choose.random() * 2)
        worker = installation.workers[round_ % 2]
        worker.kill()
        await worker.wait()
        worker.start()
        await writing
    await installation.await_caught_up()

    deadline = time.monotonic() + PATIENCE
    while True:
        kpis = await read_stored(installation.settings)
        shares = {name: (kpis[name].kpis["hard_bounced"], kpis[name].kpis["sent"]) for name in deliveries}
        exceeded = {name for name, (bounced, sent) in shares.items() if sent >= 100 and bounced / sent > 0.05}
        alerts = [one for one in await told(installation) if one["alert"] == "hard_bounces"]
        last = {one["delivery_id"]: one["state"] for one in alerts}
        if exceeded == {name for name, state in last.items() if state == "raised"}:
            break
        assert time.monotonic() < deadline, (shares, short(alerts))
        await asyncio.sleep(0.5)
    assert alerts, "no share has ever crossed its limit: the test tests nothing"
    for name in deliveries:
        own = [one for one in alerts if one["delivery_id"] == name]
        assert list(range(1, len(own) + 1)) == [one["version"] for one in own]
        assert [("ended", "raised")[version % 2] for version in range(1, len(own) + 1)] == [o["state"] for o in own]
    await installation.finish()


async def test_two_who_believe_that_they_lead(install: Install) -> None:
    """Whoever comes later fences the other one, and what either has said counts for both."""
    installation = install()
    await installation.start()
    settings, topics = installation.settings, installation.topics
    (worker,) = installation.workers
    errors: list[BaseException] = []
    active: dict[int, Sequence[DeliveryAlert]] = {}

    def watcher(number: int) -> AlertMonitor:
        def on_alerts(_crossings: Sequence[DeliveryAlert], alerts: Sequence[DeliveryAlert]) -> None:
            active[number] = alerts

        return AlertMonitor(
            settings,
            (settings.partitions, settings.partitions),
            lambda: True,
            lambda: DeliveryAlerts(topics, fold_timing(settings), alert_thresholds(settings)),
            on_alerts,
            errors.append,
        )

    watchers = [watcher(0), watcher(1)]
    for one in watchers:
        one.start()
    try:
        for round_ in range(3):  # beside the worker's own
            await write_events(installation, NOW + round_, "hard_bounce", f"d{round_}", PEOPLE[:110])
            await until_told(installation, round_ + 1)
    finally:
        for one in watchers:
            await one.stop()
    await installation.finish()

    assert [] == errors
    assert worker.name == "worker-0"
    assert [(f"d{number}", "hard_bounces", "raised", 1) for number in range(3)] == short(await told(installation))
    assert {0: (), 1: ()} == active
