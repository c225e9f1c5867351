"""A single Kafka node (broker and controller in one process, KRaft mode)."""

import base64
import socket
import struct
import subprocess
import uuid
from collections.abc import Mapping
from pathlib import Path

from aftersend.sandbox.embedded.errors import EmbeddedUnavailableError
from aftersend.sandbox.embedded.jars import ensure_jars
from aftersend.sandbox.embedded.java import find_java
from aftersend.sandbox.embedded.kafka_config import Credentials, node_properties, password_properties, render
from aftersend.sandbox.embedded.ports import HOST, pick_free
from aftersend.sandbox.embedded.process import EmbeddedProcess

# An ApiVersions request (key 18), version 0, correlation id 1, no client id: any broker answers it once it serves.
_REQUEST = struct.pack(">hhih", 18, 0, 1, -1)
_PING_TIMEOUT = 0.5


class EmbeddedKafka(EmbeddedProcess):
    """A real Apache Kafka in one process; the data directory is formatted at the first start and kept afterwards."""

    name = "Kafka"

    def __init__(
        self,
        data_dir: Path,
        port: int = 0,
        *,
        properties: Mapping[str, str] | None = None,
        credentials: Credentials | None = None,
        heap: str = "512m",
        outlive_parent: bool = False,
    ) -> None:
        """Choose the ports, which stay the same for the life of this object, without starting the server.

        Args:
            data_dir: folder of configuration, logs and data; existing data is used.
            port: port for clients; 0 selects a free one.
            properties: broker settings; they replace built-in ones.
            credentials: required of clients; None: clients need none.
            heap: maximum size of the Java heap, in the format of Java's -Xmx.
            outlive_parent: leave the broker running when this process ends.
        """
        super().__init__(data_dir, outlive_parent=outlive_parent)
        free = pick_free(3)
        self.port = port or free[0]
        self.controller_port, self._internal_port = [other for other in reversed(free) if other != self.port][:2]
        self._credentials = credentials
        self._properties = dict(properties or {})
        self._heap = heap

    @property
    def bootstrap(self) -> str:
        """The address for clients, as host:port."""
        return f"{HOST}:{self.port}"

    def ports(self) -> list[int]:
        """The clients' port, the controller's, and the broker's own where it has one."""
        return [self.port, self.controller_port, *([self._internal_port] if self._credentials else [])]

    def prepare(self) -> list[str]:
        """Write the configuration, format the data directory once, and return the broker's command line."""
        java = self._java_command()
        config = self.data_dir / "server.properties"
        logs = self.data_dir / "data"
        settings = node_properties(logs, self.port, self.controller_port)
        if self._credentials is not None:
            settings |= password_properties(self.port, self._internal_port, self.controller_port, self._credentials)
        settings |= self._properties
        config.touch(mode=0o600)  # it may hold a password
        config.write_text(render(settings))
        if not (logs / "meta.properties").exists():
            self._format(java, config)
        return [*java, "kafka.Kafka", str(config)]

    def ping(self) -> bool:
        """Ask for the API versions: a broker answers only once it accepts requests."""
        try:
            with socket.create_connection((HOST, self.port), timeout=_PING_TIMEOUT) as connection:
                connection.sendall(struct.pack(">i", len(_REQUEST)) + _REQUEST)
                return len(connection.recv(4)) > 0
        except OSError:
            return False

    def _java_command(self) -> list[str]:
        class_path = ":".join(map(str, ensure_jars()))
        return [
            str(find_java()),
            f"-Xmx{self._heap}",
            # Uses the least memory, and is as fast as the others with a small heap.
            "-XX:+UseSerialGC",
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            "-Dorg.slf4j.simpleLogger.showDateTime=true",
            "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSZ",
            "-Djava.awt.headless=true",
            "-cp",
            class_path,
        ]

    def _format(self, java: list[str], config: Path) -> None:
        cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        command = [*java, "kafka.tools.StorageTool", "format", f"--cluster-id={cluster_id}", "-c", str(config)]
        result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=self.data_dir)
        if result.returncode:
            reason = (result.stderr.strip() or result.stdout.strip() or "no output").splitlines()[-1]
            raise EmbeddedUnavailableError(f"Kafka: cannot format the data directory {self.data_dir}: {reason}")
