"""Ports on the loopback address."""

import random
import socket

from aftersend.sandbox.embedded.errors import EmbeddedUnavailableError

HOST = "127.0.0.1"

# Below the range of ports of outgoing connections (Linux: from 32768, BSD and macOS: from 49152).
# Inside it, a client that reconnects to a stopped server could get the server's port as its source port and connect
# to itself; the server could then not start.
_PORTS = range(20_000, 32_000)


def is_free(port: int) -> bool:
    """Return whether a server can listen on this port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As the servers do: connections of a killed server in TIME_WAIT do not matter.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def pick_free(count: int) -> list[int]:
    """Return that many different free ports, chosen at random so that parallel runs rarely conflict.

    Raises:
        EmbeddedUnavailableError: too few ports are free.
    """
    # The global generator would return the same ports again after a test has seeded it.
    candidates = random.SystemRandom().sample(_PORTS, 200)
    free = [port for port in candidates if is_free(port)][:count]
    if len(free) < count:
        raise EmbeddedUnavailableError(
            f"no free port on {HOST} between {_PORTS.start} and {_PORTS.stop}; stop a server or set a port"
        )
    return free


def require_free(port: int, name: str) -> None:
    """Check that a server can listen on this port; `name` is for the message.

    Raises:
        EmbeddedUnavailableError: another process uses the port.
    """
    if not is_free(port):
        raise EmbeddedUnavailableError(
            f"{name}: another process uses port {port} on {HOST}; stop it, or set another port (0 selects a free one)"
        )
