"""A real Prometheus that scrapes what a test has started, and promtool beside it."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import urlencode

import yaml

from aftersend.sandbox.embedded.errors import EmbeddedUnavailableError
from aftersend.sandbox.embedded.ports import HOST, pick_free
from aftersend.sandbox.embedded.process import EmbeddedProcess
from tests.paths import DEPLOY
from tests.patience import PATIENCE

RULES = DEPLOY / "prometheus" / "aftersend.rules.yml"

Labels = tuple[str, ...]


class EmbeddedPrometheus(EmbeddedProcess):
    """A Prometheus with the alerts of `deploy/prometheus`, looking every second.

    Args:
        data_dir: holds configuration, log and data.
        targets: by job, the ports to scrape.
    """

    name = "Prometheus"

    def __init__(self, data_dir: Path, targets: Mapping[str, list[int]]) -> None:
        super().__init__(data_dir)
        self.port = pick_free(1)[0]
        self._targets = targets

    def ports(self) -> list[int]:
        """The web port."""
        return [self.port]

    def prepare(self) -> list[str]:
        """Write the configuration; return the command line."""
        config = self.data_dir / "prometheus.yml"
        config.write_text(
            yaml.safe_dump(
                {
                    "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
                    "rule_files": [str(RULES)],
                    "scrape_configs": [
                        {"job_name": job, "static_configs": [{"targets": [f"{HOST}:{port}" for port in ports]}]}
                        for job, ports in self._targets.items()
                    ],
                }
            )
        )
        return [
            program("prometheus"),
            f"--config.file={config}",
            f"--storage.tsdb.path={self.data_dir / 'tsdb'}",
            f"--web.listen-address={HOST}:{self.port}",
        ]

    def ping(self) -> bool:
        """Ask whether it is ready."""
        try:
            with urllib.request.urlopen(f"http://{HOST}:{self.port}/-/ready", timeout=PATIENCE) as answer:
                return bool(answer.status == 200)
        except (URLError, OSError):
            return False

    def get(self, path: str, **arguments: str) -> Any:
        """Ask the API; return its data."""
        url = f"http://{HOST}:{self.port}/api/v1/{path}?{urlencode(arguments)}"
        with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
            said = json.load(answer)
        assert "success" == said["status"], said
        return said["data"]

    def series(self, query: str, *labels: str) -> dict[Labels, float]:
        """Return the values of a query by some labels; those that are 0 are left out."""
        found = self.get("query", query=query)["result"]
        values = {tuple(one["metric"].get(label, "") for label in labels): float(one["value"][1]) for one in found}
        assert len(found) == len(values), f"{query} has more labels than {labels}"
        return {key: value for key, value in values.items() if value}

    def value(self, query: str) -> float:
        """Return the only value of a query; none and 0 are the same."""
        return self.series(query).get((), 0.0)

    async def until(self, what: Any, expected: object, timeout: float = PATIENCE) -> None:
        """Wait until something is what it should be.

        Raises:
            AssertionError: if it is not in time.
        """
        deadline = time.monotonic() + timeout
        while (found := what()) != expected and time.monotonic() < deadline:
            await asyncio.sleep(0.3)
        assert expected == found


def program(name: str) -> str:
    """Return where a program of Prometheus' package is.

    Raises:
        EmbeddedUnavailableError: if it is not there.
    """
    found = shutil.which(name)
    if found is None:
        raise EmbeddedUnavailableError(
            f"no {name} here: install Debian's package prometheus (apt-get install prometheus)"
        )
    return found


def promtool(*arguments: str, given: bytes = b"") -> str:
    """Run promtool; return what it says. A finding of its linter fails as well as an error."""
    run = subprocess.run([program("promtool"), *arguments], input=given, capture_output=True, check=False)
    said = (run.stdout + run.stderr).decode()
    assert 0 == run.returncode, said
    return said
