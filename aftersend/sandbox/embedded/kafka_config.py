"""The settings of the embedded Kafka node."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from aftersend.sandbox.embedded.ports import HOST


class Credentials(NamedTuple):
    """What clients authenticate with (SASL/PLAIN)."""

    user: str
    #: Without quotes and backslashes.
    password: str


def node_properties(log_dir: Path, port: int, controller_port: int) -> dict[str, str]:
    """Return the settings of a node that is broker and controller in one, on the loopback address only."""
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@{HOST}:{controller_port}",
        "listeners": f"PLAINTEXT://{HOST}:{port},CONTROLLER://{HOST}:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://{HOST}:{port}",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": str(log_dir),
        # A missing topic is an error, as in production.
        "auto.create.topics.enable": "false",
        # There is one node, so there is one copy.
        "offsets.topic.replication.factor": "1",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        # Kafka's default of 50 partitions each would take most of the time of the first start.
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.num.partitions": "4",
        "num.partitions": "4",
        # The first consumer of a group does not wait for others.
        "group.initial.rebalance.delay.ms": "0",
        # After `kill`, the node cannot register again until the session of its previous run has expired.
        "broker.session.timeout.ms": "3000",
        "broker.heartbeat.interval.ms": "500",
        # For a small machine; Kafka's defaults are for a dedicated server.
        "num.network.threads": "2",
        "num.io.threads": "4",
    }


def password_properties(
    port: int, internal_port: int, controller_port: int, credentials: Credentials
) -> dict[str, str]:
    """Return what differs from `node_properties` where clients need a password, as in `docker-compose.yml`.

    The broker connects to itself on a listener of its own, on the loopback address, so that no password of a broker is
    needed besides that of the clients.

    Args:
        port: where clients connect.
        internal_port: where the broker connects to itself.
        controller_port: of the controller.
        credentials: of the clients.
    """
    user, password = credentials
    listeners = f"CLIENT://{HOST}:{port},INTERNAL://{HOST}:{internal_port}"
    return {
        "listeners": f"{listeners},CONTROLLER://{HOST}:{controller_port}",
        "advertised.listeners": listeners,
        "inter.broker.listener.name": "INTERNAL",
        "listener.security.protocol.map": "CLIENT:SASL_PLAINTEXT,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "listener.name.client.sasl.enabled.mechanisms": "PLAIN",
        "listener.name.client.plain.sasl.jaas.config": (
            f'org.apache.kafka.common.security.plain.PlainLoginModule required user_{user}="{password}";'
        ),
    }


def render(properties: Mapping[str, str]) -> str:
    """Write settings in the format of Java's property files."""
    return "".join(f"{name}={_escaped(value)}\n" for name, value in properties.items())


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n")
