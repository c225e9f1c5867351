"""Quarantine, release and suppression check on real servers: what operators see, and what a release does."""

import asyncio
import csv
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest

from aftersend.errors import EXIT_KAFKA, EXIT_OK, EXIT_USAGE
from aftersend.schemas.contact import Contact
from aftersend.schemas.event import Feedback
from aftersend.schemas.partitioning import partition_of
from aftersend.services.contacts import read_wanted
from tests.system.chaos.installation import Input, Installation

NOW = float(int(time.time()))
HOUR = 3600.0
OUTAGE = "550 5.1.1 user unknown: directory is down"
GONE = "550 5.1.1 no such user here"


class Done(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]


async def run(installation: Installation, *words: str, stdin: str = "", **settings: str) -> Done:
    environment = {
        "AFTERSEND_KAFKA_BOOTSTRAP": installation.kafka.bootstrap,
        "AFTERSEND_TOPIC_PREFIX": installation.settings.topic_prefix,
        **settings,
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "aftersend.cli.main", *words),
        env={**os.environ, **environment},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate(stdin.encode())
    return Done(process.returncode or 0, out.decode(), err.decode())


def inputs(installation: Installation, *events: Feedback) -> Iterator[Input]:
    """Yield events as records of the events topic, received at their `received_at`."""
    for event in events:
        key = event.recipient.encode()
        partition = partition_of(event.recipient, installation.settings.partitions)
        timestamp = int(event.received_at * 1000)
        yield Input(installation.topics.events, partition, key, json.dumps(as_json(event)).encode(), timestamp)


def as_json(event: Feedback) -> dict[str, Any]:
    names = ("event_id", "delivery_id", "recipient", "type", "reason", "diagnostic", "address", "message_type")
    return {name: getattr(event, name) for name in names}


def happened(recipient: str, kind: str, ago: float, diagnostic: str = "", **fields: Any) -> Feedback:
    """Return something that happened so many seconds ago."""
    made: dict[str, Any] = {"delivery_id": "spring", "reason": "InvalidRecipient" if "bounce" in kind else ""}
    return Feedback(
        event_id=f"{recipient} {kind} {ago}",
        recipient=recipient,
        type=kind,
        received_at=NOW - ago,
        diagnostic=diagnostic,
        **made | fields,
    )


async def contacts(installation: Installation, *addresses: str) -> dict[str, Contact]:
    return await read_wanted(installation.settings, set(addresses))


@pytest.mark.slow
async def test_addresses_are_released_after_an_outage(install: Callable[..., Installation]) -> None:
    installation = install()
    await installation.start()
    victims = [f"victim{i}@example.org" for i in range(40)]
    events = [happened(one, "hard_bounce", 5 * HOUR + i, OUTAGE) for i, one in enumerate(victims)]
    events += [
        happened(victims[0], "unsubscribed", 9 * HOUR),
        happened(victims[1], "complained", 4 * HOUR),
        happened("gone@example.org", "hard_bounce", 5 * HOUR, GONE, address="Gone@Example.org"),
        happened("before@example.org", "hard_bounce", 50 * HOUR, OUTAGE),
        *(happened("full@example.org", "soft_bounce", days * 24 * HOUR, "552 full") for days in (2, 1)),
        happened("fine@example.org", "delivered", HOUR),
        happened("typed@example.org", "unsubscribed", HOUR, message_type="campaign"),
    ]
    events.sort(key=lambda event: event.received_at)
    await installation.write(inputs(installation, *events))
    await installation.await_caught_up()

    # What operators see.
    listed = (await run(installation, "quarantine", "list", "--json")).lines
    assert {*victims, "gone@example.org", "before@example.org"} - {victims[1]} == {one["recipient"] for one in listed}
    (gone,) = [one for one in listed if one["recipient"] == "gone@example.org"]
    assert ("Gone@Example.org", GONE) == (gone["address"], gone["error"]["diagnostic"])
    (full,) = (await run(installation, "quarantine", "list", "--state", "erroneous", "--json")).lines
    assert ("full@example.org", 2) == (full["recipient"], full["errors"])
    assert [victims[1]] == [
        one["recipient"]
        for one in (await run(installation, "quarantine", "list", "--state", "denylisted", "--json")).lines
    ]
    assert "41 addresses are quarantined" in (await run(installation, "quarantine", "list")).out

    # A dry run writes nothing; without anybody to ask, nothing is done either.
    chosen = ("--reason", "DIRECTORY is down", "--since", "6h", "--why", "outage of example.org", "--by", "jane")
    tried = (await run(installation, "quarantine", "release", *chosen, "--dry-run", "--json")).lines[0]
    assert (39, 0, True) == (tried["addresses"], tried["released"], tried["dry_run"])
    assert EXIT_USAGE == (await run(installation, "quarantine", "release", *chosen)).code
    assert 41 == len((await run(installation, "quarantine", "list", "--json")).lines)

    # The release goes through the stream.
    done = await run(installation, "quarantine", "release", *chosen, "--yes", "--json")
    assert (EXIT_OK, 39) == (done.code, done.lines[0]["released"]), done.err
    await installation.await_caught_up()
    left = (await run(installation, "quarantine", "list", "--json")).lines
    assert {"gone@example.org", "before@example.org"} == {one["recipient"] for one in left}
    found = await contacts(installation, *victims)
    first, second, third = (found[victims[i]] for i in (0, 1, 2))
    assert third.release is not None
    assert ("jane", "outage of example.org", False, True) == (
        third.release.by,
        third.release.why,
        third.do_not_email,
        third.valid,
    )
    assert (True, "unsubscribed") == (first.do_not_email, first.cause), "a release is no subscription"
    assert (True, "complained", None) == (second.do_not_email, second.cause, second.release)
    assert 0 == (await run(installation, "quarantine", "release", *chosen, "--yes", "--json")).lines[0]["released"]

    # Who may be mailed now.
    audience = [
        victims[0],
        victims[1],
        victims[2],
        "GONE@example.org",
        "fine@example.org",
        "typed@example.org",
        "nobody",
    ]
    checked = await run(installation, "suppression", "check", "-", stdin="email\n" + "\n".join(audience) + "\n")
    assert EXIT_OK == checked.code, checked.err
    rows = list(csv.DictReader(checked.out.splitlines()))
    assert audience == [row["address"] for row in rows]
    expected = ["unsubscribed", "complained", "", "bounced", "", "unsubscribed", "invalid"]
    assert expected == [row["reason"] for row in rows]
    assert ["no" if reason else "yes" for reason in expected] == [row["may_be_mailed"] for row in rows]
    assert "7 addresses, 2 may be mailed" in checked.err
    typed = await run(
        installation,
        *("suppression", "check", "--type", "automation", "--json"),
        stdin="typed@example.org",
        AFTERSEND_UNSUBSCRIBE_SCOPE="type",
    )
    assert [{"address": "typed@example.org", "recipient": "typed@example.org", "may_be_mailed": True}] == typed.lines

    # All of it as the reference tells it, from the raw records on.
    report = await installation.finish()
    assert 0 == report.unreadable


async def test_without_kafka_the_commands_end_with_an_error(install: Callable[..., Installation]) -> None:
    installation = install()
    for words in (("quarantine", "list"), ("suppression", "check")):
        done = await run(installation, *words, stdin="a@example.org", AFTERSEND_KAFKA_BOOTSTRAP="127.0.0.1:1")
        assert EXIT_KAFKA == done.code
        assert "no Kafka broker at 127.0.0.1:1" in done.err
