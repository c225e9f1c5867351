"""Wrong clocks: one tick from far ahead ends nothing, one record from long ago closes no delivery."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import aiohttp
import pytest
from aiokafka.errors import InvalidTimestampError

from aftersend.sandbox.embedded.ports import pick_free
from tests.patience import PATIENCE
from tests.system.chaos.clocks import far_record, far_tick, forged_ticks, old_records, remove_guards
from tests.system.chaos.installation import Input, Installation
from tests.system.test_replay import folded

RECIPIENTS = 40


def opens(installation: Installation, delivery: str, prefix: str = "r") -> list[Input]:
    """Return an open of each recipient, now."""
    now = int(time.time() * 1000)
    return [
        Input(
            installation.topics.raw("tracking"),
            number % installation.settings.partitions,
            None,
            json.dumps(
                {"event": "open", "recipient": f"{prefix}{number}@example.org", "delivery_id": delivery}
            ).encode(),
            now,
        )
        for number in range(RECIPIENTS)
    ]


async def metric(port: int, name: str) -> float:
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PATIENCE)) as session,
        session.get(f"http://127.0.0.1:{port}/metrics") as answer,
    ):
        lines = (await answer.text()).splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


async def unique_opens(installation: Installation, delivery: str) -> int:
    code, said = await installation.command("kpi", delivery, "--json", "--from", "kafka")
    assert not code, said
    return int(json.loads(said)["kpis"]["unique_opens"])


async def test_the_broker_refuses_a_tick_from_far_ahead(install: Callable[..., Installation]) -> None:
    installation = install(partitions=2)
    await installation.apply_topics()

    for record in (far_tick(installation), *forged_ticks(installation), far_record(installation, "spring")):
        with pytest.raises(InvalidTimestampError):
            await installation.write([record])


async def test_a_tick_from_far_ahead_ends_nothing_where_the_broker_takes_it(
    install: Callable[..., Installation],
) -> None:
    installation = install(partitions=2)
    await installation.apply_topics()
    await remove_guards(installation)
    _, said = await installation.command("doctor", "--json")
    assert "message.timestamp.after.max.ms" in said
    assert "NTP" in said
    (port,) = pick_free(1)
    worker = installation.add_worker(web_port=port)
    worker.start()
    await worker.await_log("partitions assigned")
    await folded(installation, time.time())
    await installation.write(opens(installation, "spring"))
    await installation.await_caught_up()

    for _ in range(2):
        await installation.write([far_tick(installation)])
        await folded(installation, time.time())
        await installation.write(forged_ticks(installation))
        await folded(installation, time.time())
    await installation.write(opens(installation, "spring", "late"))
    await installation.await_caught_up()

    # In both partitions one from the clock's topic and one that was forged, twice.
    assert 8 == await metric(port, "aftersend_refused_ticks_total")
    assert "ticks are too far ahead" in worker.log()
    assert 2 * RECIPIENTS == await unique_opens(installation, "spring")
    report = await installation.finish()
    assert 2 * RECIPIENTS == report.rows


async def test_a_first_record_from_long_ago_closes_no_delivery(install: Callable[..., Installation]) -> None:
    installation = install(partitions=2)
    await installation.start()
    await folded(installation, time.time())
    old = list(old_records(installation, "spring"))
    await installation.write(old)
    await installation.await_caught_up()

    await installation.write(opens(installation, "spring"))
    await installation.await_caught_up()

    assert RECIPIENTS + len(old) == await unique_opens(installation, "spring")
    code, said = await installation.command("explain", "spring", "old0@example.org")
    assert not code, said
    report = await installation.finish()
    assert RECIPIENTS + len(old) == report.rows


async def test_a_record_from_far_ahead_holds_nothing_up(install: Callable[..., Installation]) -> None:
    """On a raw topic of somebody else, which takes what the events topic refuses."""
    installation = install(partitions=2)
    await installation.apply_topics()
    await remove_guards(installation, installation.topics.raw("tracking"))
    worker = installation.add_worker()
    worker.start()
    await worker.await_log("partitions assigned")
    await installation.write([far_record(installation, "spring"), *opens(installation, "spring")])
    await installation.await_caught_up()

    code, said = await installation.command("dead-letters", "list", "--json")
    assert not code, said
    assert "InvalidTimestampError" in said
    report = await installation.finish()
    assert RECIPIENTS == report.rows
