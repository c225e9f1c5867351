"""`aftersend log` on real servers: the recipients of each log, and equality of logs and KPIs."""

from __future__ import annotations

import csv
import io
import json
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from aftersend.errors import EXIT_FAILED, EXIT_OK, EXIT_USAGE
from tests.system.chaos.installation import Input, Installation
from tests.system.events import write_events

NOW: Final = float(int(time.time())) - 3600.0
PEOPLE: Final = [f"r{number}@example.org" for number in range(40)]


async def played(install: Callable[..., Installation]) -> Installation:
    """Return an installation that has heard of one delivery, step by step, so that rows have several versions."""
    installation = install()
    await installation.start()
    declaration = {"type": "delivery", "delivery_id": "sale", "policy": "v8"}
    await installation.write(
        [Input(installation.topics.raw("sender"), 0, None, json.dumps(declaration).encode(), int(NOW * 1000))]
    )
    steps: list[tuple[str, list[str], dict[str, Any]]] = [
        ("planned", PEOPLE, {}),
        ("sent", PEOPLE[:30], {}),
        ("deferred", PEOPLE[:8], {"reason": "QuotaIssues", "code": 452, "diagnostic": "=mailbox full"}),
        ("delivered", PEOPLE[4:20], {}),
        ("opened", PEOPLE[10:15], {}),
        ("opened", PEOPLE[10:12], {}),
        ("hard_bounce", PEOPLE[20:25], {"reason": "InvalidRecipient", "diagnostic": "no such user"}),
        ("not_sent", PEOPLE[30:37], {"reason": "previously_complained"}),
        ("not_sent", PEOPLE[37:], {"reason": "previously_bounced"}),
        ("sent", ["proof@example.org"], {"test": True}),
    ]
    for second, (kind, recipients, fields) in enumerate(steps):
        await write_events(installation, NOW + second, kind, "sale", recipients, **fields)
    await write_events(installation, NOW, "sent", "sale-two", ["other@example.org"])
    return installation


async def rows(installation: Installation, *words: str) -> list[dict[str, Any]]:
    code, text = await installation.command("log", "sale", *words)
    assert EXIT_OK == code, text
    return list(csv.DictReader(io.StringIO(text)))


async def objects(installation: Installation, *words: str) -> list[dict[str, Any]]:
    code, text = await installation.command("log", "sale", *words, "--json")
    assert EXIT_OK == code, text
    return [json.loads(line) for line in text.splitlines()]


async def test_logs_are_exported(install: Callable[..., Installation]) -> None:
    installation = await played(install)

    # By default the sending log of the policy that the delivery was declared with: v8.
    sending = await rows(installation)
    columns = {"address", "status", "reason_value", "reason", "reason_type", "diagnostic", "status_at", "updated_at"}
    columns |= {"earlier_reason", "earlier_diagnostic"}
    assert columns == set(sending[0])
    statuses = Counter(line["status"] for line in sending)
    assert {"Sent": 16, "Failed": 5, "Taken into account by the service provider": 9} == statuses
    by_address = {line["address"]: line for line in sending}
    assert len(sending) == len(by_address)
    assert ("Mailbox full", "5", "'=mailbox full") == tuple(
        by_address[PEOPLE[0]][name] for name in ("reason", "reason_value", "diagnostic")
    )

    assert PEOPLE[20:25] == sorted(line["address"] for line in await rows(installation, "--status", "FAILED"))
    spanish = await rows(installation, "--status", "error", "--reason", "Usuario desconocido", "--language", "es")
    assert {("Failed", "Error", "User unknown", "Usuario desconocido")} == {
        tuple(line[name] for name in ("status", "status_label", "reason", "reason_label")) for line in spanish
    }
    assert PEOPLE[20:25] == sorted(line["address"] for line in spanish)
    full = await objects(installation, "--view", "efs", "--reason", "mailbox full", "--status", "failed")
    assert PEOPLE[:4] == sorted(line["address"] for line in full)
    assert {"=mailbox full"} == {line["diagnostic"] for line in full}
    assert full == await objects(installation, "--view", "efs", "--reason", "5", "--status", "Failed")

    excluded = await objects(installation, "--kind", "exclusions")
    assert PEOPLE[30:] == sorted(line["address"] for line in excluded)
    causes = await rows(installation, "--kind", "causes")
    assert [("Denylisted", "7"), ("Quarantined", "3")] == [(line["reason"], line["recipients"]) for line in causes]
    errors = await rows(installation, "--view", "efs", "--kind", "errors")
    assert {("User unknown", "5"), ("Mailbox full", "4")} == {(line["reason"], line["recipients"]) for line in errors}
    tracking = {line["address"]: line for line in await objects(installation, "--kind", "tracking")}
    assert (set(PEOPLE[10:15]), 2, 1) == (set(tracking), tracking[PEOPLE[10]]["opens"], tracking[PEOPLE[14]]["opens"])
    assert tracking[PEOPLE[10]]["first_opened_at"].endswith("Z")

    audience = await objects(installation, "--kind", "audience")
    kpis = json.loads((await installation.command("kpi", "sale", "--view", "creatio", "--json"))[1])
    report = kpis["views"]["creatio"]
    assert {name: number for name, number in report["statuses"].items() if number} == Counter(
        line["response"] for line in audience
    )
    chart = {
        line["response"]: line["recipients"] for line in await objects(installation, "--view=creatio", "--kind=errors")
    }
    assert {"Soft bounce": 4, "Hard bounce": 5, "Canceled (previously complained)": 7} == {
        name: number for name, number in chart.items() if name != "Canceled (previously bounced)"
    }
    assert PEOPLE[20:25] == sorted(
        line["address"] for line in await rows(installation, "--view", "creatio", "--response", "hard bounce")
    )
    totals = {line["name"]: line["number"] for line in await objects(installation, "--view=escala", "--kind=totals")}
    assert (40, 30, 10, 5) == tuple(totals[name] for name in ("audience", "sent", "skipped", "opened"))

    assert len(sending) + 1 == len(await rows(installation, "--tests"))
    assert [] == await rows(installation, "--reason", "duplicate")
    code, text = await installation.command("log", "nothing")
    assert (EXIT_FAILED, 1) == (code, len(text.splitlines())), "no heading above the error"
    assert EXIT_FAILED == (await installation.command("log", "nothing", "--kind", "totals"))[0]
    for words in (
        ("--view", "creatio", "--kind", "sending"),
        ("--status", "no such status"),
        ("--kind", "tracking", "--reason", "1"),
        ("--kind", "totals", "--status", "Failed"),
    ):
        code, text = await installation.command("log", "sale", *words)
        assert (EXIT_USAGE, 1) == (code, len(text.splitlines())), text

    await installation.finish()
