"""The demo itself: equal numbers, one JSON object, and nothing left behind."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from aftersend.sandbox.embedded import EmbeddedUnavailableError
from aftersend.sandbox.embedded.jars import ensure_jars
from aftersend.sandbox.embedded.java import find_java
from tests.patience import PATIENCE

COMMAND = [sys.executable, "-P", "-m", "aftersend.cli.main", "demo", "--seed", "7"]
#: Of the deliveries' names, by who sends them.
ENDS = ("", "-sendgrid", "-ses", "-postmark")


@pytest.fixture
def environment(tmp_path: Path, unavailable: Callable[[str], NoReturn]) -> dict[str, str]:
    """Return an environment in which temporary files lie in a folder of the test's own."""
    try:
        ensure_jars()
        find_java()
    except EmbeddedUnavailableError as error:
        unavailable(str(error))
    return {**os.environ, "TMPDIR": str(tmp_path), "AFTERSEND_KAFKA_BOOTSTRAP": "not-to-be-used:1"}


def left_behind(folder: Path) -> list[str]:
    """Return files in a folder, and processes that have to do with it."""
    shown = subprocess.run(["ps", "-axwwo", "args"], capture_output=True, text=True, check=True).stdout
    return [*map(str, folder.iterdir()), *(line for line in shown.splitlines() if str(folder) in line)]


def test_a_small_demo_ends_with_equal_numbers(environment: dict[str, str], tmp_path: Path) -> None:
    done = subprocess.run(
        [*COMMAND, "--recipients", "300", "--rate", "0", "--processes", "2", "--json"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert 0 == done.returncode, done.stdout + done.stderr
    result = json.loads(done.stdout)
    assert (True, []) == (result["equal"], result["differences"])
    assert 700 < result["raw_records"] < 1000
    assert 12 == result["unreadable"]
    assert {"kumomta", "tracking", "sendgrid", "ses", "postmark"} == result["decisions"].keys()
    deliveries = result["deliveries"]
    names = ("autumn-sale", "welcome", "order-confirmation")
    assert {"", "summer-sale"} | {name + end for name in names for end in ENDS} == deliveries.keys()
    # Two messages in a row are of one person; what a provider does not report is unknown.
    assert 210 == sum(deliveries[name]["audience"] for name in names)
    for end, most in (("-sendgrid", 60), ("-ses", 15), ("-postmark", 15)):
        assert 0.6 * most < sum(deliveries[name + end]["audience"] for name in names) <= most
    for posted in result["webhooks"].values():
        assert posted["requests"] == posted["answers"]["200"] > 0
        assert 3 == posted["broken"]
    explained = result["explained"]
    assert [] == explained["disagreements"]
    assert explained["steps"]
    for counted in deliveries.values():
        assert counted.get("audience", 0) == sum(n for name, n in counted.items() if name.startswith("status_"))
    assert sum(result["decisions"]["tracking"].values()) > 180
    assert sum(result["decisions"]["sendgrid"].values()) > 100
    assert [] == left_behind(tmp_path)


def test_ctrl_c_stops_the_demo(environment: dict[str, str], tmp_path: Path) -> None:
    demo = subprocess.Popen(
        [*COMMAND, "--recipients", "5000", "--rate", "200"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert demo.stdout is not None
    lines = []
    for line in demo.stdout:
        lines.append(line)
        if "running the campaign" in line:
            break
    time.sleep(2)
    demo.send_signal(signal.SIGINT)
    rest, _ = demo.communicate(timeout=PATIENCE)
    assert 130 == demo.returncode, "".join(lines) + rest
    assert [] == left_behind(tmp_path)
