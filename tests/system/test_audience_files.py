"""Audience files on real servers: whatever its form, a suppressed address is never answered "may be mailed"."""

from __future__ import annotations

import asyncio
import csv
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from aftersend.errors import EXIT_OK, EXIT_USAGE
from tests.patience import PATIENCE
from tests.system.chaos.installation import Installation
from tests.system.test_quarantine import HOUR, Done, happened, inputs

SPAM = "spam@example.org"
GONE = "gone@example.org"
FINE = "fine@example.org"


async def run(installation: Installation, *words: str, stdin: bytes = b"") -> Done:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "aftersend.cli.main", *words),
        env={
            **os.environ,
            "AFTERSEND_KAFKA_BOOTSTRAP": installation.kafka.bootstrap,
            "AFTERSEND_TOPIC_PREFIX": installation.settings.topic_prefix,
        },
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(stdin), PATIENCE)
    return Done(process.returncode or 0, out.decode(), err.decode())


EXCEL = (
    "Kunde;E-Mail-Adresse;Umsatz\r\n"
    'Müller, Jörg;"""Müller, Jörg"" <Spam@Example.org>";1.234,50\r\n'
    f'José;"Ana" <{GONE}>;0,00\r\n'
    f"Gößwein;Gößwein <{FINE}>;1,00\r\n"
    f"Zwei;{FINE}, {SPAM};2,00\r\n"
    ";;\r\n"
    "Ohne;;3,00\r\n"
)
REASONS = ["complained", "bounced", "", "invalid", "invalid"]


@pytest.mark.timeout(600)
async def test_a_file_is_checked_and_loaded_as_it_comes_out_of_excel(
    install: Callable[..., Installation], tmp_path: Path
) -> None:
    installation = install()
    await installation.start()
    events = [
        happened(GONE, "hard_bounce", 3 * HOUR, "550 5.1.1 no such user here"),
        happened(SPAM, "complained", 2 * HOUR),
        happened(FINE, "delivered", HOUR),
    ]
    await installation.write(inputs(installation, *events))
    await installation.await_caught_up()
    path = tmp_path / "audience.csv"
    path.write_bytes(EXCEL.encode("cp1252"))

    checked = await run(installation, "suppression", "check", str(path))
    assert EXIT_OK == checked.code, checked.err
    rows = list(csv.DictReader(checked.out.splitlines()))
    assert REASONS == [row["reason"] for row in rows]
    assert ["no", "no", "yes", "no", "no"] == [row["may_be_mailed"] for row in rows]
    assert [SPAM, GONE, FINE, "", ""] == [row["recipient"] for row in rows]
    assert '"Müller, Jörg" <Spam@Example.org>' == rows[0]["address"], "the caller's value is kept"

    # In any encoding, with the options and without, from a file and from standard input.
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"):
        content = EXCEL.encode(encoding)
        options = ("--separator", ";", "--address-column", "2", "--encoding", encoding)
        for words in ((), options):
            again = await run(installation, "suppression", "check", "-", "--json", *words, stdin=content)
            assert REASONS == [line.get("reason", "") for line in again.lines], (encoding, words, again.err)

    # What is uncertain is an error that names the option, before the first line of output.
    for content, option in (
        (EXCEL.encode("cp1252") + "\x8d".encode("latin-1"), "--encoding"),
        (EXCEL.encode("cp1252") + f"x;ü{SPAM};1\r\n".encode("cp1252"), "--encoding"),
        (f"{FINE};a,{SPAM}\n".encode(), "--separator"),
        (f"{FINE};{SPAM}\n".encode(), "--address-column"),
        (b"name;city\nJane;Bonn\n", "--address-column"),
    ):
        failed = await run(installation, "suppression", "check", "-", stdin=content)
        assert (EXIT_USAGE, "") == (failed.code, failed.out)
        assert option in failed.err
        path.with_name("uncertain.csv").write_bytes(content)
        uncertain = str(path.with_name("uncertain.csv"))
        failed = await run(installation, "audience", "load", "summer", uncertain)
        assert (EXIT_USAGE, "", True) == (failed.code, failed.out, option in failed.err), failed.err

    loaded = await run(installation, "audience", "load", "summer", str(path), "--json")
    assert EXIT_OK == loaded.code, loaded.err
    counts = json.loads(loaded.out)
    assert (5, 3, 1, 1) == tuple(counts[name] for name in ("lines", "recipients", "invalid", "empty"))
    await installation.await_caught_up()
    report = await installation.finish()
    summer = report.kpis["summer"]
    assert (4, 3, 1) == tuple(
        summer[name] for name in ("audience", "status_planned", "status_not_sent_invalid_address")
    ), "nothing came of the uncertain files"
