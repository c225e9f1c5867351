"""`aftersend doctor` with servers up, with servers down, and with topics that are not as they should be."""

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete

from aftersend.errors import EXIT_FAILED, EXIT_OK
from tests.system.chaos.installation import Input, Installation


async def examine(installation: Installation, folder: Path, **changes: str) -> tuple[int, list[dict[str, Any]]]:
    """Run the doctor where neither `.env` nor a settings file lies; return exit code and findings."""
    settings = installation.settings
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AFTERSEND_")} | {
        "AFTERSEND_KAFKA_BOOTSTRAP": settings.kafka_bootstrap,
        "AFTERSEND_REDIS_URL": settings.redis_url,
        "AFTERSEND_TOPIC_PREFIX": settings.topic_prefix,
        "AFTERSEND_APP_ID": settings.app_id,
        "AFTERSEND_PARTITIONS": str(settings.partitions),
        **changes,
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",
        "-m",
        "aftersend.cli.main",
        "doctor",
        "--json",
        env=environment,
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert b"" == err, err.decode()
    result = json.loads(out)
    assert result["ok"] == (process.returncode == EXIT_OK)
    return process.returncode or 0, result["findings"]


def of(findings: list[dict[str, Any]], check: str) -> list[dict[str, Any]]:
    return [finding for finding in findings if finding["check"] == check]


def wrong(findings: list[dict[str, Any]]) -> dict[str, str]:
    """Return what is not as it should be, by check, but for what depends on the machine that the test runs on."""
    # A warning about Kafka itself says that its answers take long.
    slow = {"check": "Kafka", "result": "warning"}
    return {
        f["check"]: f["result"]
        for f in findings
        if f["result"] != "ok" and f["check"] != "open files" and not f.items() >= slow.items()
    }


async def test_no_check_fails_on_a_running_installation(install: Callable[..., Installation], tmp_path: Path) -> None:
    installation = install()
    await installation.start()

    code, findings = await examine(installation, tmp_path)

    assert EXIT_OK == code
    assert {} == wrong(findings)
    assert "is stable, 1 member" in of(findings, "workers")[0]["found"]
    assert "4 partitions" in of(findings, "topics")[0]["found"]
    assert {"settings", "Kafka: transactions", "workers: lag", "Redis: eviction", "clock", "disk"} <= {
        finding["check"] for finding in findings
    }


async def test_unavailable_servers_are_failures(install: Callable[..., Installation], tmp_path: Path) -> None:
    """Each check is made, whatever the others found, and all that is wrong with the settings is text at once."""
    installation = install()
    (tmp_path / "aftersend.toml").write_text('partitons = 3\nweb_port = "none"\n')
    changes = {
        "AFTERSEND_KAFKA_BOOTSTRAP": "127.0.0.1:1",
        "AFTERSEND_REDIS_URL": "redis://:secret@127.0.0.1:1",
        "AFTERSEND_REDIS_INTERVAL": "7",
        "AFTERSEND_RETENTION_DAYS": "5",
        "AFTERSEND_KAFKA_BOTSTRAP": "x:1",
        "AFTERSEND_STORE": "rocksdb",
        "AFTERSEND_DATA_DIR": "/proc/nowhere",
        "AFTERSEND_GATEWAY_SECRETS": '{"sendgrid": "no key at all"}',
    }

    code, findings = await examine(installation, tmp_path, **changes)

    assert EXIT_FAILED == code
    assert {"settings", "Kafka", "Kafka: transactions", "topics", "workers", "Redis", "webhooks", "disk"} <= {
        finding["check"] for finding in findings if finding["result"] == "failed"
    }
    text = " ".join(finding["found"] for finding in of(findings, "settings"))
    for expected in ("'partitons'; did you mean 'partitions'", "AFTERSEND_WEB_PORT", "AFTERSEND_REDIS_INTERVAL"):
        assert expected in text
    assert "AFTERSEND_KAFKA_BOTSTRAP is no setting; did you mean 'kafka_bootstrap'" in text
    assert "(AFTERSEND_KAFKA_BOOTSTRAP)" in of(findings, "Kafka")[0]["found"]
    assert "AFTERSEND_DATA_DIR" in of(findings, "disk")[0]["advice"]
    assert "no public key" in of(findings, "webhooks")[0]["found"]
    assert ":secret@" not in json.dumps(findings)
    assert "no key at all" not in json.dumps(findings)
    assert all(finding["advice"] for finding in findings if finding["result"] != "ok")


async def test_an_unreadable_settings_file_is_a_failure(install: Callable[..., Installation], tmp_path: Path) -> None:
    installation = install()
    await installation.apply_topics()
    (tmp_path / "aftersend.toml").write_text("app_id = \n")

    code, findings = await examine(installation, tmp_path)

    assert EXIT_FAILED == code
    assert {"settings": "failed", "workers": "warning"} == wrong(findings)


async def test_wrong_topics_are_failures(install: Callable[..., Installation], tmp_path: Path) -> None:
    installation = install()
    topics = installation.topics
    admin = AIOKafkaAdminClient(bootstrap_servers=installation.kafka.bootstrap)
    await admin.start()
    await admin.create_topics(
        [
            NewTopic(topics.events, 4, 1),
            NewTopic(topics.status, 3, 1),
            NewTopic(topics.clock, 2, 1),
            NewTopic(topics.kpis, 4, 1, topic_configs={"cleanup.policy": "delete"}),
        ]
    )
    await admin.close()

    code, findings = await examine(installation, tmp_path)

    assert EXIT_FAILED == code
    failed = [finding["found"] for finding in of(findings, "topics") if finding["result"] == "failed"]
    warned = [finding["found"] for finding in of(findings, "topics") if finding["result"] == "warning"]
    assert any(f"topic {topics.raw('kumomta')} is missing" in text for text in failed)
    assert any(f"topic {topics.status} has 3 partitions and {topics.events} has 4" in text for text in failed)
    assert any(f"topic {topics.clock} has 2 partitions, it needs 1" in text for text in failed)
    assert any(f"topic {topics.kpis} has cleanup.policy=delete, it should be compact" in text for text in warned)
    assert any("has no members" in finding["found"] for finding in of(findings, "workers"))


async def test_waiting_and_lost_records_are_counted(install: Callable[..., Installation], tmp_path: Path) -> None:
    """A group that has committed an offset, and then was away while the topic's beginning was deleted."""
    installation = install()
    await installation.apply_topics()
    raw = installation.topics.raw("kumomta")
    long_ago = int(time.time() - 7200) * 1000
    await installation.write(Input(raw, 1, None, b"x", long_ago + i) for i in range(10))
    tp = TopicPartition(raw, 1)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=installation.kafka.bootstrap,
        group_id=installation.settings.app_id,
        enable_auto_commit=False,
    )
    await consumer.start()
    consumer.assign([tp])
    await consumer.commit({tp: 2})
    await consumer.stop()
    admin = AIOKafkaAdminClient(bootstrap_servers=installation.kafka.bootstrap)
    await admin.start()
    await admin.delete_records({tp: RecordsToDelete(before_offset=6)})
    await admin.close()

    code, findings = await examine(installation, tmp_path)

    assert EXIT_FAILED == code
    (lag,) = of(findings, "workers: lag")
    assert lag["found"].startswith(f"{raw}: 4 records wait, the first for 7,2")
    (losses,) = of(findings, "workers: losses")
    assert ("failed", f"4 offsets of {raw}, partition 1, were deleted before they were consumed") == (
        losses["result"],
        losses["found"],
    )
