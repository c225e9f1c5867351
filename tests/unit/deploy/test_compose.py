"""No Docker runs here, so what `docker compose` would start is compared with what the tests do start."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from aftersend.config.loading import load
from aftersend.config.settings import Settings
from aftersend.sandbox.embedded.jars import kafka_version, locked_jars
from aftersend.sandbox.embedded.kafka_config import Credentials, node_properties, password_properties
from tests.paths import ROOT

COMPOSE = ROOT / "docker-compose.yml"
DOCKERFILE = ROOT / "deploy" / "Dockerfile"

# Where things are differs between a container and this machine.
PLACES = {"advertised.listeners", "controller.quorum.voters", "listeners", "log.dirs"}
#: A variable without a default: `docker compose` ends with the message if it is not set, or empty.
REQUIRED = re.compile(r"\$\{(?:KAFKA|REDIS)_PASSWORD:\?[^}]+\}")
KAFKA_PASSWORD = "${KAFKA_PASSWORD:?set it in the file .env}"
#: An image's exact version, perhaps with a digest.
EXACT = re.compile(r"[a-z/]+:\d+\.\d+\.\d+(?:-[a-z-]+)?(?:@sha256:[0-9a-f]{64})?")


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
    embedded |= password_properties(9092, 9094, 9093, Credentials("aftersend", KAFKA_PASSWORD))
    expected = {f"KAFKA_{name.replace('.', '_').upper()}": value for name, value in embedded.items()}
    places = {f"KAFKA_{name.replace('.', '_').upper()}" for name in PLACES}
    actual = services["kafka"]["environment"]

    assert set(expected) == set(actual)
    assert {name: value for name, value in expected.items() if name not in places} == {
        name: value for name, value in actual.items() if name not in places
    }


def test_kafka_has_the_version_of_the_embedded_one(services: dict[str, Any]) -> None:
    assert f"${{KAFKA_IMAGE:-apache/kafka:{kafka_version(locked_jars())}}}" == services["kafka"]["image"]


def test_images_have_exact_versions_and_a_place_for_their_digest(services: dict[str, Any]) -> None:
    images = [services[name]["image"] for name in ("kafka", "redis")]
    images += [service["build"]["args"]["PYTHON_IMAGE"] for service in services.values() if "build" in service]
    arguments = dict(re.findall(r"^ARG (\w+)=(\S+)$", DOCKERFILE.read_text(), re.MULTILINE))

    defaults = dict(parse_default(image) for image in images)

    assert {"KAFKA_IMAGE", "VALKEY_IMAGE", "PYTHON_IMAGE"} == defaults.keys()
    assert [] == [image for image in defaults.values() if not EXACT.fullmatch(image)]
    assert {"PYTHON_IMAGE": defaults["PYTHON_IMAGE"]} == arguments


def parse_default(text: str) -> tuple[str, str]:
    """Return name and default of a variable."""
    found = re.fullmatch(r"\$\{(\w+):-([^}]+)\}", text)
    assert found is not None, text
    return found[1], found[2]


def test_no_password_has_a_default(services: dict[str, Any]) -> None:
    environments = [service.get("environment", {}) for service in services.values()]
    secrets = [
        (name, value)
        for environment in environments
        for name, value in environment.items()
        if "PASSWORD" in str(value) or re.search("PASSWORD|AUTH$|JAAS|REDIS_URL", name)
    ]

    assert len(secrets) >= 6
    assert [] == [(name, value) for name, value in secrets if not REQUIRED.search(value)]


def test_listeners_without_a_password_are_reached_by_nobody_else(services: dict[str, Any]) -> None:
    environment = services["kafka"]["environment"]
    protocols = dict(pair.split(":") for pair in environment["KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"].split(","))
    listeners = dict(listener.split("://") for listener in environment["KAFKA_LISTENERS"].split(","))

    open_to_others = {name for name, address in listeners.items() if not address.startswith("127.0.0.1:")}
    assert {"CLIENT": "SASL_PLAINTEXT"} == {name: protocols[name] for name in open_to_others}
    assert "ports" not in services["kafka"]
    assert "ports" not in services["redis"]


def test_every_container_is_confined(services: dict[str, Any]) -> None:
    for name, service in services.items():
        confined = service["read_only"], service["cap_drop"], service["security_opt"]
        assert (True, ["ALL"], ["no-new-privileges:true"]) == confined, name
        assert "privileged" not in service
        assert "cap_add" not in service
    # The images of Kafka and of Aftersend have a user of their own; that of Valkey begins as root.
    assert services["redis"]["user"].split(":")[0] not in {"0", "root"}
    final = DOCKERFILE.read_text().rpartition("\nFROM ")[2]
    assert re.search(r"^USER [1-9]\d*$", final, re.MULTILINE)


def test_what_is_written_has_a_place_that_can_be_written(services: dict[str, Any]) -> None:
    for name in ("topics", "worker", "gateway"):
        assert ["/tmp"] == services[name]["tmpfs"]  # noqa: S108 - of the container
    assert "worker:/var/lib/aftersend" in services["worker"]["volumes"]
    assert "VOLUME /var/lib/aftersend" in DOCKERFILE.read_text()
    written = {place.partition(":")[0] for place in services["kafka"]["tmpfs"]}
    assert {"/opt/kafka/config", "/opt/kafka/logs", "/tmp"} == written  # noqa: S108 - of the container


def test_the_image_has_nothing_to_build_or_install_with() -> None:
    tools = {"hatchling", "pip", "setuptools", "uv", "wheel"}
    installed = set(re.findall(r"^([a-z0-9-]+)==", (ROOT / "requirements.txt").read_text(), re.MULTILINE))
    build, final = DOCKERFILE.read_text().split("\nFROM ")[1:]

    assert set() == installed & tools
    assert "--without-pip /opt/aftersend" in build
    assert "rm -rf /usr/local/bin/pip*" in final
    assert "site-packages/*" in final
    assert ["--from=build /opt/aftersend /opt/aftersend"] == re.findall(r"^COPY (.*)$", final, re.MULTILINE)
    assert not re.search(r"apt-get|pip install|gcc", final)


def test_kafka_keeps_its_data_on_a_volume(services: dict[str, Any]) -> None:
    kafka = services["kafka"]
    assert [f"kafka:{kafka['environment']['KAFKA_LOG_DIRS']}"] == kafka["volumes"]


def test_nothing_starts_before_what_it_needs_is_healthy(services: dict[str, Any]) -> None:
    for name, service in services.items():
        for needed, how in service.get("depends_on", {}).items():
            if how["condition"] == "service_healthy":
                assert "healthcheck" in services[needed], f"{name} waits for {needed}, which has no health check"


def test_aftersend_is_told_where_the_servers_are(services: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    kafka = services["kafka"]["environment"]
    for name in ("topics", "worker", "gateway"):
        for variable in [variable for variable in os.environ if variable.startswith("AFTERSEND_")]:
            monkeypatch.delenv(variable)
        for variable, value in services[name]["environment"].items():
            monkeypatch.setenv(variable, REQUIRED.sub("secret", value))
        settings = load()
        options = settings.kafka_options()

        assert f"CLIENT://{settings.kafka_bootstrap}" in kafka["KAFKA_ADVERTISED_LISTENERS"].split(",")
        assert f"CLIENT:{options['security_protocol']}" in kafka["KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"].split(",")
        assert options["sasl_mechanism"] == kafka["KAFKA_LISTENER_NAME_CLIENT_SASL_ENABLED_MECHANISMS"]
        jaas = REQUIRED.sub("secret", kafka["KAFKA_LISTENER_NAME_CLIENT_PLAIN_SASL_JAAS_CONFIG"])
        assert f'user_{options["sasl_plain_username"]}="{options["sasl_plain_password"]}";' in jaas
    worker = services["worker"]["environment"]["AFTERSEND_REDIS_URL"]
    assert "redis://:secret@redis:6379/0" == REQUIRED.sub("secret", worker)


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

    copied = {"pyproject.toml", "requirements.txt", "requirements-build.txt", "LICENSE"}
    assert packages | copied <= let_through
