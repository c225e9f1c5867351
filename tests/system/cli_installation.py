"""An installation that commands run on, as a user has it: settings in the environment, output on a pipe."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import redis

from aftersend.sandbox.embedded import EmbeddedKafka, EmbeddedRedis
from tests.patience import PATIENCE

COMMAND = [sys.executable, "-P", "-m", "aftersend.cli.main"]


class Done(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Installation:
    """Settings of its own on the shared servers."""

    def __init__(self, kafka: EmbeddedKafka, redis_server: EmbeddedRedis, folder: Path, port: int) -> None:
        self.prefix = f"t{uuid.uuid4().hex[:8]}"
        self.port = port
        self.folder = folder
        self.redis = redis.Redis.from_url(redis_server.url, decode_responses=True)
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("AFTERSEND_")} | {
            "AFTERSEND_KAFKA_BOOTSTRAP": kafka.bootstrap,
            "AFTERSEND_REDIS_URL": redis_server.url,
            "AFTERSEND_TOPIC_PREFIX": self.prefix,
            "AFTERSEND_APP_ID": self.prefix,
            "AFTERSEND_REDIS_PREFIX": self.prefix,
            "AFTERSEND_DATA_DIR": str(folder / "data"),
            "AFTERSEND_PARTITIONS": "2",
            "AFTERSEND_WEB_PORT": str(port),
            "AFTERSEND_SESSION_TIMEOUT": "6",
            "AFTERSEND_HEARTBEAT_INTERVAL": "1",
            "AFTERSEND_REBALANCE_TIMEOUT": "6",
            "AFTERSEND_CLOCK_INTERVAL": "1",
        }

    def run(self, *arguments: str, stdin: str = "", **settings: str) -> Done:
        done = subprocess.run(
            [*COMMAND, *arguments],
            env=self.environment | settings,
            cwd=self.folder,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def worker(self, *arguments: str) -> subprocess.Popen[bytes]:
        with (self.folder / "worker.log").open("ab") as log:
            return subprocess.Popen(
                [*COMMAND, "worker", *arguments],
                env=self.environment,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def probe(self, path: str, process: int = 0) -> tuple[int, dict[str, Any]]:
        """Ask a process for its health; 0 while nobody answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port + process}{path}", timeout=PATIENCE) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)
        except OSError:
            return 0, {}

    def log(self) -> str:
        return (self.folder / "worker.log").read_text()


def until(what: Callable[[], bool], patience: float = PATIENCE) -> None:
    deadline = time.monotonic() + patience
    while not what():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.2)


def end(process: subprocess.Popen[bytes]) -> int:
    process.send_signal(signal.SIGTERM)
    try:
        return process.wait(PATIENCE)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
