"""Servers and processes of Aftersend for a measurement, ended with it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from aftersend.config.installation import topic_layouts
from aftersend.config.loading import load
from aftersend.config.settings import Settings
from aftersend.engine import admin
from aftersend.engine.aiokafka import patches
from aftersend.sandbox.embedded import EmbeddedKafka, EmbeddedRedis


@contextmanager
def installation(chosen: Mapping[str, str], commands: Sequence[str] = ("worker",)) -> Iterator[Settings]:
    """Start a Kafka, a Redis, and commands of `aftersend` with topics and settings of their own; give the settings.

    Args:
        chosen: settings besides the addresses and the folder for data.
        commands: what is started; they need not be ready yet.
    """
    with tempfile.TemporaryDirectory() as data:
        kafka, server = EmbeddedKafka(Path(data) / "kafka"), EmbeddedRedis(Path(data) / "redis")
        with kafka, server:
            told = {
                "kafka_bootstrap": kafka.bootstrap,
                "redis_url": server.url,
                "partitions": "4",
                "log_level": "warning",
                "data_dir": str(Path(data) / "worker"),
                **chosen,
            }
            settings = load(**told)
            patches.apply()
            asyncio.run(admin.apply_topics(settings.kafka_options(), topic_layouts(settings), 1))
            environment = {**os.environ, **{f"AFTERSEND_{name.upper()}": value for name, value in told.items()}}
            processes = [
                subprocess.Popen([sys.executable, "-m", "aftersend.cli.main", command], env=environment)
                for command in commands
            ]
            try:
                yield settings
            finally:
                for process in processes:
                    process.terminate()
                for process in processes:
                    process.wait(60)
