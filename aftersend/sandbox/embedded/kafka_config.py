"""The settings of the embedded Kafka node."""

from collections.abc import Mapping
from pathlib import Path

from aftersend.sandbox.embedded.ports import HOST


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


def render(properties: Mapping[str, str]) -> str:
    """Write settings in the format of Java's property files."""
    return "".join(f"{name}={_escaped(value)}\n" for name, value in properties.items())


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n")
