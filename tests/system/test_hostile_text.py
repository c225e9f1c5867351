"""Text of strangers that a terminal would execute: no command, log line, answer or page has it as it is."""

from __future__ import annotations

import asyncio
import os
import sys
import time
import unicodedata
from collections.abc import Callable
from typing import NamedTuple

import aiohttp
import msgspec
import pytest

from aftersend.engine.dead_letters import HEADERS
from aftersend.sandbox.embedded.ports import pick_free
from aftersend.schemas.event import Feedback
from aftersend.schemas.partitioning import partition_of
from tests.patience import PATIENCE
from tests.system.chaos.installation import Input, Installation

#: What clears a screen, makes a link, turns words round, hides them, and forges a line; "\0" is no argument's.
HOSTILE = (
    "\x1b[2J\x1b]8;;http://evil.example\x07x\x1b]8;;\x1b\\\u202egnp.exe\u2066\u200b\u2060\ufeff\x9b1A\x7f\x08"
    "\r\nforged \U000e0041\u2028[link=http://evil.example]y[/link]=1"
)
WITH_NUL = f"{HOSTILE}\0their words"
VIEWER = "viewer-token-0123456789"
JANE = "jane@example.org"
#: A delivery whose id the API takes.
PLAIN = "autumn"
TOKEN = "operator-token-0123456789"


class Done(NamedTuple):
    code: int
    out: str
    err: str


async def run(installation: Installation, *words: str, stdin: str = "") -> Done:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",
        "-m",
        "aftersend.cli.main",
        *words,
        env={**os.environ, **installation.environment()},
        cwd=installation.folder,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(stdin.encode()), PATIENCE)
    assert process.returncode is not None
    return Done(process.returncode, out.decode(), err.decode())


def raw(shown: str) -> list[str]:
    """Return what a terminal would execute, or nobody would see; and lines that a stranger has begun."""
    others = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    found = [repr(character) for character in shown if unicodedata.category(character) in others]
    lines = [line for line in shown.splitlines() if line.lstrip().startswith("forged")]
    return [one for one in found if one != repr("\n")] + lines


def inputs(installation: Installation) -> list[Input]:
    """Return events as normalise would write them if no source bounded or cleaned anything, and dead letters."""
    now = int(time.time() * 1000)
    partitions = installation.settings.partitions
    made = []
    for number, kind in enumerate(("sent", "delivered", "clicked", "unknown", "hard_bounce", "complained")):
        for delivery_id, recipient in ((HOSTILE, JANE), (HOSTILE, f"{HOSTILE}@example.org"), (PLAIN, JANE)):
            event = Feedback(
                f"{WITH_NUL}{number}{delivery_id}{recipient}",
                delivery_id,
                recipient,
                kind,
                occurred_at=now / 1000,
                source="tracking",
                reason=WITH_NUL,
                diagnostic=WITH_NUL,
                address=WITH_NUL,
                enhanced_code=WITH_NUL,
                provider_id=WITH_NUL,
                url=WITH_NUL,
                user_agent=WITH_NUL,
                tenant=WITH_NUL,
                ip=WITH_NUL,
                detail=WITH_NUL,
            )
            key, partition = recipient.encode(), partition_of(recipient, partitions)
            made.append(Input(installation.topics.events, partition, key, msgspec.json.encode(event), now + number))
    hostile = WITH_NUL.encode()
    values = (hostile, hostile, installation.topics.raw("tracking").encode(), b"0", b"0", hostile)
    headers = (*zip(HEADERS, values, strict=True), (HOSTILE, hostile))
    made.append(Input(installation.topics.dead_letters, 0, hostile, b'{"x":"' + HOSTILE.encode() + b'"}', now, headers))
    made.append(Input(installation.topics.dead_letters, 0, hostile, hostile, now, headers))
    return made


@pytest.fixture
async def seeded(install: Callable[..., Installation]) -> Installation:
    """Return an installation whose worker has folded the events, and a raw record that is unreadable."""
    (port,) = pick_free(1)
    installation = install(web_port=port, api_tokens={TOKEN: "operator", VIEWER: "viewer"})
    await installation.apply_topics()
    (worker,) = [installation.add_worker()]
    worker.start()
    await worker.await_log("partitions assigned")
    await installation.write(inputs(installation))
    unreadable = b'{"event":"' + HOSTILE.encode() + b'","recipient":"' + HOSTILE.encode()
    await installation.write([Input(installation.topics.raw("tracking"), 0, None, unreadable, int(time.time() * 1000))])
    await installation.await_caught_up()
    return installation


#: Commands that show what strangers wrote, and their input.
COMMANDS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("kpi",), ""),
    (("kpi", "--from", "kafka"), ""),
    (("kpi", HOSTILE), ""),
    (("kpi", HOSTILE, "--json"), ""),
    (("kpi", HOSTILE, "--view", "efs"), ""),
    (("kpi", f"{HOSTILE}unknown"), ""),
    (("recipient", JANE), ""),
    (("recipient", f"{HOSTILE}@example.org"), ""),
    (("recipient", JANE, "--json"), ""),
    (("explain", HOSTILE, JANE), ""),
    (("explain", HOSTILE, JANE, "--raw", "--views"), ""),
    (("explain", HOSTILE, JANE, "--raw", "--json"), ""),
    (("explain", f"{HOSTILE}unknown", JANE), ""),
    (("explain", HOSTILE, JANE, "--masked"), ""),
    (("recipient", JANE, "--masked"), ""),
    (("log", HOSTILE), ""),
    (("log", HOSTILE, "--json"), ""),
    (("log", HOSTILE, "--view", "escala"), ""),
    (("log", HOSTILE, "--view", "creatio"), ""),
    (("log", HOSTILE, "--status", HOSTILE), ""),
    (("deliveries", "list"), ""),
    (("deliveries", "list", "--json"), ""),
    (("deliveries", "show", HOSTILE), ""),
    (("deliveries", "set", HOSTILE, "--name", HOSTILE, "--dry-run"), ""),
    (("deliveries", "set", HOSTILE, "--name", HOSTILE), ""),
    (("deliveries", "show", HOSTILE), ""),
    (("suppression", "check", "-"), f"{JANE}\n\x1b[2J\u202e@example.org\n"),
    (("suppression", "check", "-", "--json"), f"{JANE}\n\x1b[2J\u202e@example.org\n"),
    (("quarantine", "list"), ""),
    (("quarantine", "list", "--state", "invalid"), ""),
    (("quarantine", "list", "--json"), ""),
    (("quarantine", "release", "--reason", HOSTILE, "--dry-run"), ""),
    (("dead-letters", "list"), ""),
    (("dead-letters", "list", "--json"), ""),
    (("dead-letters", "show", "0:0"), ""),
    (("dead-letters", "show", "0:1"), ""),
    (("dead-letters", "show", "0:0", "--json"), ""),
    (("dead-letters", "replay", "--dry-run"), ""),
    (("compute-stats",), ""),
    (("compute-stats", "--json"), ""),
    (("top", "--once"), ""),
    (("top", "--once", "--json"), ""),
    (("doctor",), ""),
    (("topics", "show"), ""),
    (("sources", "resume", HOSTILE), ""),
    (("sources", "resume", "tracking", "--tenant", HOSTILE), ""),
    (("parse", "tracking"), '{"event":"open","id":"e","recipient":"a@x.example","url":"\u202e\x7f"}\n\x1b[2J\u202e\n'),
    (("parse", HOSTILE), ""),
    ((HOSTILE,), ""),
    (("kpi", "--limit", HOSTILE), ""),
)


@pytest.mark.timeout(900)
async def test_nothing_that_strangers_wrote_is_shown_as_it_is(seeded: Installation) -> None:
    wrong: dict[str, list[str]] = {}
    shown = ""
    for words, stdin in COMMANDS:
        done = await run(seeded, *words, stdin=stdin)
        name = " ".join(words).replace(HOSTILE, "HOSTILE")
        shown += f"$ {name}\n{done.out}{done.err}"
        assert done.code in {0, 1, 2}, (name, done)
        if found := raw(done.out + done.err):
            wrong[name] = found[:10]

    assert {} == wrong
    assert [] == [text for text in ("gnp.exe", "evil.example", r"\x1b", r"\u202e") if text not in shown]
    assert "DISAGREES" not in shown
    log = "".join(worker.log() for worker in seeded.workers)
    assert [] == raw(log)
    assert "gnp.exe" in log


async def test_answers_and_pages_have_nothing_of_it_either(seeded: Installation) -> None:
    base = f"http://127.0.0.1:{seeded.settings.web_port}"
    headers = {"Authorization": f"Bearer {TOKEN}"}
    found: dict[str, list[str]] = {}
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PATIENCE)) as session:
        for path in ("/metrics", "/api/v1/deliveries", f"/api/v1/recipients/{JANE}", "/live"):
            async with session.get(base + path, headers=headers) as answer:
                text = (await answer.read()).decode()
                assert 200 == answer.status
            if path != "/live":
                assert "gnp.exe" in text, path
            found[path] = raw(text)

    assert {path: [] for path in found} == found


async def test_a_viewer_sees_no_text_but_ours(seeded: Installation) -> None:
    """Over the API and by the commands; ids of deliveries are ids of ours."""
    base = f"http://127.0.0.1:{seeded.settings.web_port}/api/v1"
    shown = {}
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PATIENCE)) as session:
        for path in (
            "/deliveries",
            f"/deliveries/{PLAIN}",
            f"/deliveries/{PLAIN}/recipients/{JANE}",
            f"/deliveries/{PLAIN}/recipients/{JANE}/explanation?view=all",
            f"/recipients/{JANE}",
        ):
            headers = {"Authorization": f"Bearer {VIEWER}"}
            async with session.get(base + path, headers=headers) as answer:
                assert 200 == answer.status, path
                shown[path] = await answer.text()
    for command in ("explain", "recipient"):
        words = (PLAIN, JANE) if command == "explain" else (JANE,)
        shown[command] = (await run(seeded, command, *words, "--masked")).out

    assert {name: [] for name in shown} == {
        name: [words for words in ("their words", "jane", "example.org") if words in text]
        for name, text in shown.items()
    }
    assert '"kind":"complained"' in shown["explain"]
    assert '"complained"' in shown["recipient"]
