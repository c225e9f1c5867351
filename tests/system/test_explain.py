"""`aftersend explain` on a real Kafka, after everything that makes rows forget."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from typing import Any

import aiohttp
import msgspec
import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.records_to_delete import RecordsToDelete
from aiokafka.structs import TopicPartition

from aftersend.engine import changelog
from aftersend.engine.aiokafka.records import FetchedRecord
from aftersend.errors import EXIT_FAILED, EXIT_OK, EXIT_USAGE
from aftersend.rules.recipient.history import MAX_ENTRIES
from aftersend.sandbox.embedded.ports import pick_free
from aftersend.schemas.event import Feedback
from aftersend.schemas.partitioning import partition_of
from aftersend.services.explain.read import locate_row, read_explanation
from tests.system.chaos.installation import Input, Installation
from tests.system.chaos.load import raw_records

HOUR_MS = 3_600_000
JANE = "jane@example.org"


def inputs(installation: Installation, kinds: Iterable[str], at_ms: int, first: int = 0) -> list[Input]:
    """Return events of Jane's, a second apart, as normalise would write them; `tick` is the clock's."""
    partition = partition_of(JANE, installation.settings.partitions)
    made = []
    for number, kind in enumerate(kinds, first):
        event = Feedback(f"event {number}", "sale", JANE, kind, source="tracking", occurred_at=at_ms / 1000 - 5)
        if kind == "tick":
            event = Feedback(f"tick {number}", "", "", "tick", source="clock")
        key = event.recipient.encode()
        made.append(
            Input(installation.topics.events, partition, key, msgspec.json.encode(event), at_ms + number * 1000)
        )
    return made


async def explain(installation: Installation, *options: str, delivery: str = "sale") -> tuple[int, Any]:
    code, output = await installation.command("explain", delivery, JANE, "--json", *options)
    return code, json.loads(output) if output.startswith("{") else output


@pytest.mark.timeout(720)
async def test_every_row_of_a_campaign_equals_the_fold_of_its_events(install: Callable[..., Installation]) -> None:
    """Of hundreds of rows, with all that happens in real life, none disagrees; also after a restart."""
    installation: Installation = install()
    await installation.start(1)
    topics = installation.topics
    partitions = installation.settings.partitions
    await installation.write(raw_records(topics, 60, 5, time.time() - 7200, partitions))
    await installation.finish()
    keys: set[tuple[str, str]] = set()

    def apply(_topic: str, _: int, records: list[FetchedRecord]) -> None:
        for record in records:
            delivery_id, _tab, recipient = (record.key or b"").decode().partition("\t")
            keys.add((delivery_id, recipient))

    await changelog.read(
        installation.settings.kafka_options(), {(topics.status, p): None for p in range(partitions)}, apply
    )
    assert len(keys) > 50
    for delivery_id, recipient in sorted(keys)[:40]:
        where = locate_row(installation.settings, partition_of(recipient, partitions), delivery_id, recipient)
        found = await read_explanation(where)
        assert [] == found.explanation.disagreements, (delivery_id, recipient)
        assert 0 == found.explanation.missing
        assert found.known.row is not None
        assert found.known.row.status == [s.after for s in found.explanation.steps if not s.waiting][-1]


@pytest.mark.timeout(720)
async def test_all_events_of_a_recipient_are_explained(install: Callable[..., Installation]) -> None:
    """By arrival: statuses before and after, an expiry that did not hold, duplicates, places, the raw records."""
    installation: Installation = install()
    await installation.start(1)
    start = int(time.time() * 1000) - 100 * HOUR_MS
    life = inputs(installation, ["sent"], start)
    life += inputs(installation, ["tick"], start + 60 * HOUR_MS, 1)
    life += inputs(installation, ["deferred", "deferred"], start + HOUR_MS, 2)
    life += inputs(installation, ["delivered"], start + 2 * HOUR_MS, 4)
    life += inputs(installation, ["opened", "delivered", "complained", "clicked"], start + 61 * HOUR_MS, 5)
    life += inputs(installation, ["opened"], start + 61 * HOUR_MS, 5)
    await installation.write(life)
    await installation.await_caught_up()

    code, found = await explain(installation, "--raw")

    assert EXIT_OK == code
    assert [] == found["disagreements"]
    steps = [(s["kind"], s["decision"], s["before"], s["after"]) for s in found["steps"]]
    assert ("sent", "applied", "none", "sent") == steps[0]
    assert ("deferred", "applied", "sent", "deferred") == steps[1], "it had arrived before the wait was over"
    assert "expired" not in [kind for kind, *_ in steps]
    assert sorted(arrived := [step["arrived_at"] for step in found["steps"]]) == arrived
    by_kind = {step["kind"]: step for step in found["steps"] if step["decision"] == "applied"}
    assert "status opened (60) outranks delivered (50)" == by_kind["opened"]["rule"]
    assert "docs/domain.md §2.1, status opened" == by_kind["opened"]["reference"]
    assert 1 == by_kind["opened"]["repeats"]
    assert ("clicked", "terminal_locked", "complained", "complained") in steps
    assert ("opened", "duplicate", "complained", "complained") in steps
    assert ("complained", True) == (found["status"], found["final"])
    sent = found["steps"][0]
    assert sent["arrived_at"].endswith("Z")
    assert sent["occurred_at"] < sent["arrived_at"]
    assert installation.topics.events == sent["raw"]["topic"]
    assert "event 0" == json.loads(sent["raw_record"]["text"])["event_id"]


@pytest.mark.timeout(720)
async def test_a_recipient_is_explained_as_of_a_time_and_in_views(install: Callable[..., Installation]) -> None:
    """By the command and by a worker's API alike."""
    token = "operator-token-0123456789"
    installation: Installation = install(api_tokens={token: "operator"})
    (port,) = pick_free(1)
    await installation.start(1, web_port=port)
    start = int(time.time() * 1000) - 100 * HOUR_MS
    life = [inputs(installation, [kind], start + n * HOUR_MS, n) for n, kind in enumerate(["sent", "deferred"])]
    life.append(inputs(installation, ["tick"], start + 60 * HOUR_MS, 2))
    life.append(inputs(installation, ["complained"], start + 61 * HOUR_MS, 3))
    await installation.write(one for some in life for one in some)
    await installation.await_caught_up()

    async def state_after(hours: float) -> dict[str, Any]:
        at = start / 1000 + hours * 3600
        code, found = await explain(installation, "--as-of", f"{at:.3f}", "--view", "efs", "--view", "without-efs")
        path = f"/api/v1/deliveries/sale/recipients/{JANE}/explanation?as_of={at:.3f}&view=efs,without-efs"
        headers = {"Authorization": f"Bearer {token}"}
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{port}{path}", headers=headers) as answer,
        ):
            over_the_api = await answer.json()
        if answer.status == 404:
            assert (EXIT_FAILED, "unknown_row") == (code, over_the_api["error"]["code"])
            return {}
        assert over_the_api == found
        return dict(found)

    assert {} == await state_after(-1)
    sent, deferred, expired, complained = [await state_after(hours) for hours in (0.5, 1.5, 50, 62)]
    assert ["sent", "deferred", "soft_bounce", "soft_bounce"] == [
        one["status"] for one in (sent, deferred, expired, complained)
    ]
    assert [{"efs": "Pending", "without-efs": "Sent"}, {"efs": "Failed", "without-efs": "Sent"}] == [
        one["views"] for one in (sent, deferred)
    ]
    assert {"before": "Sent", "after": "Failed"} == expired["steps"][-1]["views"]["without-efs"]
    assert [1, 2, 3, 4] == [len(one["steps"]) for one in (sent, deferred, expired, complained)]
    assert "terminal_locked" == complained["steps"][-1]["decision"]
    assert (False, True) == ("complained" in expired["facts"], "complained" in complained["facts"])
    assert (True, complained["version"]) == (complained["final"], (await explain(installation))[1]["version"])
    _, page = await installation.command("explain", "sale", JANE, "--views")
    assert "efs: Pending → Failed" in page
    assert "creatio: Sent to provider" not in (await installation.command("explain", "sale", JANE))[1]
    for wrong in (("--as-of", "yesterday"), ("--view", "nonsense")):
        assert EXIT_USAGE == (await installation.command("explain", "sale", JANE, *wrong))[0]


@pytest.mark.timeout(720)
async def test_events_removed_by_retention_are_noted(install: Callable[..., Installation]) -> None:
    """More events than a row remembers: all of them while the topic has them, the last ones afterwards."""
    installation: Installation = install()
    (worker,) = await installation.start(1)
    now = int(time.time() * 1000) - HOUR_MS
    kinds = ["sent", "delivered", "opened"] + ["opened"] * 50
    await installation.write(inputs(installation, kinds, now))
    await installation.await_caught_up()
    code, whole = await explain(installation)

    assert (EXIT_OK, len(kinds), 0) == (code, len(whole["steps"]), whole["missing"])
    assert ("delivered", "opened") == (whole["steps"][2]["before"], whole["steps"][2]["after"])

    worker.terminate()
    await worker.wait()
    partition = TopicPartition(installation.topics.events, partition_of(JANE, installation.settings.partitions))
    await _delete(installation, partition, whole["steps"][10]["event"]["offset"])
    code, part = await explain(installation)

    assert EXIT_OK == code
    assert [] == part["disagreements"]
    forgotten = len(kinds) - 10 - MAX_ENTRIES
    assert forgotten == sum(step["decision"] == "" for step in part["steps"])
    assert 10 == part["missing"]
    assert any("no longer known" in note for note in part["notes"])
    assert "opened" == part["steps"][-1]["after"]

    await _delete(installation, partition, whole["steps"][-1]["event"]["offset"] + 1)
    code, last = await explain(installation)

    assert (EXIT_OK, MAX_ENTRIES, len(kinds) - MAX_ENTRIES) == (code, len(last["steps"]), last["missing"])
    code, page = await installation.command("explain", "sale", JANE)
    assert EXIT_OK == code
    assert "earlier changes are no longer known" in page


async def _delete(installation: Installation, partition: TopicPartition, before: int) -> None:
    """Do to a topic what retention does to it in time."""
    admin = AIOKafkaAdminClient(bootstrap_servers=installation.settings.kafka_bootstrap)
    await admin.start()
    try:
        await admin.delete_records({partition: RecordsToDelete(before_offset=before)})
    finally:
        await admin.close()


@pytest.mark.timeout(720)
async def test_a_row_that_differs_from_its_events_is_an_error(install: Callable[..., Installation]) -> None:
    """As after a changed validity period: there is a warning, and the exit code is 1."""
    installation: Installation = install()
    await installation.start(1)
    start = int(time.time() * 1000) - 40 * HOUR_MS
    await installation.write(
        inputs(installation, ["sent"], start) + inputs(installation, ["opened"], start + HOUR_MS, 1)
    )
    await installation.write(inputs(installation, ["tick", "opened"], start + 30 * HOUR_MS, 2))
    await installation.await_caught_up()
    changed = Installation(
        installation.kafka,
        installation.redis,
        installation.folder,
        installation.settings.app_id,
        statistics_update_period_days=0.5,
    )
    code, found = await explain(changed)

    assert EXIT_FAILED == code
    assert found["disagreements"]
    assert (EXIT_OK, []) == ((await explain(installation))[0], (await explain(installation))[1]["disagreements"])


async def test_an_unknown_recipient_is_an_error(install: Callable[..., Installation]) -> None:
    installation: Installation = install()
    await installation.apply_topics()

    code, output = await explain(installation, delivery="none")

    assert EXIT_FAILED == code
    assert "delivery 'none' has no recipient jane@example.org" in output
