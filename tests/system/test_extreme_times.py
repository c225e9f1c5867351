"""Times from the edges of the calendar, wherever a source may name one: no command and no answer breaks at them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from aftersend.sandbox.embedded.ports import pick_free
from aftersend.schemas.event import Feedback
from aftersend.schemas.partitioning import partition_of
from tests.patience import PATIENCE
from tests.system.chaos.installation import Input, Installation
from tests.system.test_replay import folded

TOKEN = "operator-token-0123456789"
#: What a date can hold, and a day beyond it in some zone.
REFUSED = (
    "0001-01-01T00:00:00+14:00",
    "1969-12-31T23:59:59Z",
    "9999-12-31T23:59:59-14:00",
    -62_135_647_200,
    -1,
    253_402_300_800,
    1e300,
)
SHOWN = ("1970-01-01T00:00:01Z", "9999-12-31T23:59:59Z", 1, 253_402_300_799)
#: Milliseconds since 1970: the oldest that the broker takes. It takes none from the future.
ARRIVALS = (0, 1)


def records(time_of: Any, number: int) -> list[tuple[str, dict[str, Any]]]:
    """Return what the sources write that name their own times, with one time."""
    who, delivery = f"r{number}@example.org", "edges"
    mail = {"timestamp": time_of, "messageId": f"m{number}", "destination": [who], "tags": {"delivery_id": [delivery]}}
    return [
        ("kumomta", {"type": "Bounce", "recipient": who, "id": f"k{number}", "event_time": time_of, **kumo(delivery)}),
        (
            "kumomta",
            {"type": "Reception", "recipient": who, "id": f"t{number}", "timestamp": time_of, **kumo(delivery)},
        ),
        ("tracking", {"event": "open", "recipient": who, "delivery_id": delivery, "time": time_of}),
        ("sendgrid", {"event": "click", "email": who, "delivery_id": delivery, "timestamp": time_of}),
        ("ses", {"eventType": "Complaint", "mail": mail, "complaint": complaint(time_of, who, number)}),
        ("operations", {"event": "release", "recipient": who, "time": time_of, "by": "me", "why": "a test"}),
        ("sender", {"type": "planned", "recipient": who, "delivery_id": delivery, "occurred_at": time_of}),
        ("sender", {"type": "delivery", "delivery_id": f"{delivery}-{number}", "start": time_of, "name": "Edges"}),
    ]


def kumo(delivery: str) -> dict[str, Any]:
    return {"meta": {"delivery_id": delivery}, "response": {"code": 550, "content": "no such user"}}


def complaint(time_of: Any, who: str, number: int) -> dict[str, Any]:
    return {"complainedRecipients": [{"emailAddress": who}], "timestamp": time_of, "feedbackId": f"f{number}"}


def straight(installation: Installation, number: int, occurred_at: float, timestamp_ms: int) -> Input:
    """Return an event that somebody wrote to the events topic himself."""
    who = f"r{number}@example.org"
    event = Feedback(f"straight-{number}-{occurred_at}", "edges", who, "unsubscribed", occurred_at, source="tracking")
    partition = partition_of(who, installation.settings.partitions)
    return Input(installation.topics.events, partition, who.encode(), msgspec.json.encode(event), timestamp_ms)


def inputs(installation: Installation) -> list[Input]:
    now = int(time.time() * 1000)
    made = [
        Input(installation.topics.raw(source), 0, None, json.dumps(record).encode(), now)
        for number, time_of in enumerate((*SHOWN, *REFUSED))
        for source, record in records(time_of, number)
    ]
    times = [time_of for time_of in (*SHOWN, *REFUSED) if not isinstance(time_of, str)]
    made += [straight(installation, number, float(time_of), now) for number, time_of in enumerate(times)]
    for arrival in ARRIVALS:
        record = {"event": "open", "recipient": "old@example.org", "delivery_id": "old", "time": 1}
        made.append(Input(installation.topics.raw("tracking"), 0, None, json.dumps(record).encode(), arrival))
    return made


COMMANDS = [
    ["kpi", "--json"],
    ["kpi", "--from", "kafka"],
    ["kpi", "edges"],
    ["kpi", "edges", "--view", "efs", "--view", "creatio", "--view", "escala"],
    ["kpi", "old", "--from", "kafka"],
    ["top", "--once"],
    ["top", "--once", "--json"],
    ["recipient", "{who}"],
    ["recipient", "{who}", "--json"],
    ["explain", "edges", "{who}"],
    ["explain", "edges", "{who}", "--json", "--raw", "--views"],
    *(["log", "edges", "--kind", kind] for kind in ("sending", "exclusions", "tracking", "causes", "errors", "totals")),
    ["log", "edges", "--view", "creatio", "--json"],
    ["log", "edges", "--view", "escala"],
    ["deliveries", "list"],
    ["deliveries", "list", "--json"],
    ["deliveries", "show", "edges-1"],
    ["deliveries", "show", "edges"],
    ["quarantine", "list"],
    ["quarantine", "list", "--json"],
    ["suppression", "check", "{addresses}"],
    ["dead-letters", "list"],
    ["dead-letters", "list", "--json"],
    ["compute-stats"],
]

PATHS = [
    "/deliveries",
    "/deliveries?sort=started_at",
    "/deliveries/edges",
    "/deliveries/old",
    "/recipients/{who}",
    "/deliveries/edges/recipients/{who}",
    "/deliveries/edges/recipients/{who}/explanation",
    "/deliveries/edges/recipients/{who}/explanation?raw=true",
]


@pytest.mark.timeout(900)
async def test_no_command_breaks_at_times_from_the_edges_of_the_calendar(
    install: Callable[..., Installation], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # East of Greenwich the year 9999 ends early, to the west 1970 begins late.
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")
    installation = install(partitions=2, api_tokens={TOKEN: "operator"})
    (port,) = pick_free(1)
    (worker,) = await installation.start(web_port=port)
    # The first tick sets the time, so that a delivery whose first record is of 1970 is not closed for it.
    await folded(installation, time.time())
    await installation.write(inputs(installation))
    await installation.await_caught_up()

    addresses = tmp_path / "addresses"
    addresses.write_text("".join(f"r{number}@example.org\n" for number in range(len(SHOWN))))
    broken: dict[str, str] = {}
    for words in COMMANDS:
        # The one that everything happened to in 1970, the other at the end of 9999.
        for who in ("r0@example.org", "r1@example.org") if "{who}" in words else ("",):
            chosen = [word.format(who=who, addresses=addresses) for word in words]
            code, said = await installation.command(*chosen)
            if code or "Traceback" in said:
                broken[" ".join(chosen)] = f"{code}: {said[-600:]}"
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PATIENCE)) as session:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        for path in PATHS:
            target = path.format(who="r1@example.org")
            async with session.get(f"http://127.0.0.1:{port}/api/v1{target}", headers=headers) as answer:
                if answer.status not in {200, 404} or (answer.status == 404) != (path == "/deliveries/old"):
                    broken[target] = f"{answer.status}: {(await answer.text())[:600]}"
        async with session.get(f"http://127.0.0.1:{port}/metrics") as answer:
            assert 200 == answer.status
    assert {} == broken

    report = await installation.finish()

    assert [0] == worker.exit_codes
    # Those whose times can be shown, and the one whose arrival is of 1970.
    assert len(SHOWN) + 1 == report.rows
