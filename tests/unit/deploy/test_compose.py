"""No Docker runs here, so what `docker compose` would start is compared with what the tests do start."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from aftersend.config.settings import Settings
from aftersend.sandbox.embedded.jars import kafka_version, locked_jars
from aftersend.sandbox.embedded.kafka_config import node_properties
from tests.paths import ROOT

COMPOSE = ROOT / "docker-compose.yml"
DOCKERFILE = ROOT / "deploy" / "Dockerfile"

# Where things are differs between a container and this machine.
PLACES = {"advertised.listeners", "controller.quorum.voters", "listeners", "log.dirs"}


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    content = yaml.safe_load(COMPOSE.read_text())
    return dict(content["services"])


def test_the_file_is_valid() -> None:
    """Checked against the schema of the Compose specification, offline."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(COMPOSE)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert 0 == result.returncode, result.stdout + result.stderr


def test_kafka_has_the_settings_of_the_embedded_one(services: dict[str, Any]) -> None:
    embedded = node_properties(Path("data"), 9092, 9093)
    expected = {f"KAFKA_{name.replace('.', '_').upper()}": value for name, value in embedded.items()}
    places = {f"KAFKA_{name.replace('.', '_').upper()}" for name in PLACES}
    actual = services["kafka"]["environment"]

    assert set(expected) == set(actual)
    assert {name: value for name, value in expected.items() if name not in places} == {
        name: value for name, value in actual.items() if name not in places
    }


def test_kafka_has_the_version_of_the_embedded_one(services: dict[str, Any]) -> None:
    assert f"apache/kafka:{kafka_version(locked_jars())}" == services["kafka"]["image"]


def test_kafka_keeps_its_data_on_a_volume(services: dict[str, Any]) -> None:
    kafka = services["kafka"]
    assert [f"kafka:{kafka['environment']['KAFKA_LOG_DIRS']}"] == kafka["volumes"]


def test_nothing_starts_before_what_it_needs_is_healthy(services: dict[str, Any]) -> None:
    for name, service in services.items():
        for needed, how in service.get("depends_on", {}).items():
            if how["condition"] == "service_healthy":
                assert "healthcheck" in services[needed], f"{name} waits for {needed}, which has no health check"


def test_aftersend_is_told_where_the_servers_are(services: dict[str, Any]) -> None:
    for name in ("topics", "worker"):
        environment = services[name]["environment"]
        assert (
            environment["AFTERSEND_KAFKA_BOOTSTRAP"] in services["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"]
        )
        assert re.fullmatch(r"redis://redis:\d+/\d+", environment["AFTERSEND_REDIS_URL"])


def test_the_gateway_is_reached_where_it_listens(services: dict[str, Any]) -> None:
    gateway = services["gateway"]
    defaults = Settings.model_fields
    assert [f"8080:{defaults['gateway_port'].default}"] == gateway["ports"]
    assert f":{defaults['gateway_admin_port'].default}/live" in gateway["healthcheck"]["test"][-1]
    assert "0.0.0.0" == gateway["environment"]["AFTERSEND_GATEWAY_HOST"]  # noqa: S104 - all of the container's
    (volume,) = gateway["volumes"]
    assert volume.split(":")[1] == gateway["environment"]["AFTERSEND_GATEWAY_SECRETS_DIR"]
    grace = float(gateway["stop_grace_period"].removesuffix("s"))
    assert grace > defaults["gateway_drain_seconds"].default + 10


def test_every_file_that_the_image_copies_is_let_through() -> None:
    """A `.dockerignore` that keeps out all but what it names keeps out a new package as well."""
    lines = DOCKERFILE.with_name("Dockerfile.dockerignore").read_text().splitlines()
    let_through = {line[1:] for line in lines if line.startswith("!")}
    packages = {path.parent.name for path in ROOT.glob("[a-z]*/__init__.py")} - {
        "benchmarks",
        "deploy",
        "docs",
        "tests",
    }

    assert packages | {"pyproject.toml", "requirements.txt", "LICENSE"} <= let_through
