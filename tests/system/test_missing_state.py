"""State that is gone is refused, not begun anew: complainers would be mailed again, all would be counted from zero."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable

import msgspec
import pytest
from aiokafka.admin import NewPartitions

from aftersend.config.installation import topic_layouts
from aftersend.engine import admin
from aftersend.errors import EXIT_KAFKA, EXIT_OK, EXIT_STATE
from aftersend.schemas.event import Feedback
from aftersend.schemas.partitioning import partition_of
from tests.patience import PATIENCE
from tests.system.chaos.installation import Input, Installation
from tests.system.chaos.load import direct_events

EVENTS = 600


async def kept(installation: Installation, name: str) -> list[Input]:
    """Return the records of a changelog, as a copy of the cluster has them."""
    return await installation.recorded((name, p) for p in range(installation.settings.partitions))


async def empty(installation: Installation, *names: str) -> None:
    """Delete topics and create them anew, as somebody may who trusts an error message."""
    options = installation.settings.kafka_options()
    async with admin.connect(options) as client:
        await client.delete_topics(list(names))
        deadline = time.monotonic() + PATIENCE
        while {*names} & {*await client.list_topics()}:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.1)
    layouts = [layout for layout in topic_layouts(installation.settings) if layout.name in names]
    await admin.apply_topics(options, layouts, 1)


@pytest.mark.parametrize("store", ["memory", "rocksdb"])
async def test_empty_changelogs_of_a_group_with_offsets_are_refused_until_they_are_restored(
    install: Callable[..., Installation], store: str
) -> None:
    installation = install(partitions=2, store=store)
    (worker,) = await installation.start()
    await installation.write(direct_events(installation.topics, EVENTS, 5, time.time() - 3600, 2))
    await installation.await_caught_up()
    worker.terminate()
    assert EXIT_OK == await worker.wait()
    topics = installation.topics

    for names in ((topics.contacts,), (topics.status, topics.contacts, topics.kpis), (topics.status,)):
        copies = {name: await kept(installation, name) for name in names}
        await empty(installation, *names)
        worker.start()

        assert EXIT_STATE == await worker.wait(), worker.tail(20)
        assert f"{' and '.join(names)} hold no records" in worker.tail(20)
        assert "docs/guide/operate.md#missing-state" in worker.tail(20)
        code, said = await installation.command("doctor")
        assert code
        assert "the state is missing" in said.replace("\n", " ")

        for copy in copies.values():
            await installation.write(copy)
    worker.start()
    report = await installation.finish()

    assert EVENTS == report.events


async def test_a_new_events_topic_goes_on_with_the_state_where_partitions_were_added_to_the_old_one(
    install: Callable[..., Installation],
) -> None:
    """As the guide says: all that was folded stays, and what comes from now on is added to it."""
    installation = install(partitions=2)
    (worker,) = await installation.start()
    await installation.write(direct_events(installation.topics, EVENTS, 5, time.time() - 3600, 2))
    await installation.await_caught_up()
    worker.terminate()
    await worker.wait()
    options = installation.settings.kafka_options()
    async with admin.connect(options) as client:
        await client.create_partitions({installation.topics.events: NewPartitions(4)})
    worker.start()

    assert EXIT_KAFKA == await worker.wait()
    assert "docs/guide/operate.md#partitions-were-added" in worker.tail(20)
    assert "Keep all of them" in worker.tail(20)

    name = f"{installation.topics.prefix}.events-2"
    second = Installation(
        installation.kafka,
        installation.redis,
        installation.folder,
        installation.settings.app_id,
        partitions=2,
        events_topic=name,
    )
    code, said = await second.command("topics", "apply")
    assert not code, said
    other = second.add_worker()
    other.start()
    await other.await_log("partitions assigned")
    before = await second.command("kpi", "direct-1", "--json", "--from", "kafka")
    event = Feedback("new", "direct-1", "somebody.new@example.org", "opened", source="tracking")
    partition = partition_of(event.recipient, 2)
    now = int(time.time() * 1000)
    await second.write([Input(name, partition, event.recipient.encode(), msgspec.json.encode(event), now)])
    await second.await_caught_up()
    after = await second.command("kpi", "direct-1", "--json", "--from", "kafka")
    second.close()

    audiences = [json.loads(said)["kpis"]["audience"] for _, said in (before, after)]
    assert 20 < audiences[0] == audiences[1] - 1
