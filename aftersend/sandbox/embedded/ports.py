"""Ports on the loopback address."""

import random
import socket

from aftersend.sandbox.embedded.errors import EmbeddedUnavailableError

HOST = "127.0.0.1"

# Below the range that systems hand out to outgoing connections (Linux: from 32768, BSD and macOS: from 49152).
# Inside it, a client that keeps reconnecting to a server that is down can be given the server's own port as its
# source port, connects to itself, and the server cannot come back.
_PORTS = range(20_000, 32_000)


def is_free(port: int) -> bool:
    """Tell whether a server could listen on this port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As the servers do: what a killed server left in TIME_WAIT is no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def pick_free(count: int) -> list[int]:
    """Pick that many different free ports, at random so that parallel runs rarely meet.

    Raises:
        EmbeddedUnavailableError: too few ports are free.
    """
    # The global generator would hand out the same ports again wherever a test seeds it.
    candidates = random.SystemRandom().sample(_PORTS, 200)
    free = [port for port in candidates if is_free(port)][:count]
    if len(free) < count:
        msg = f"no free port found on {HOST} between {_PORTS.start} and {_PORTS.stop}; stop some servers or name a port"
        raise EmbeddedUnavailableError(msg)
    return free


def require_free(port: int, name: str) -> None:
    """Make sure that the server called `name` can listen on this port.

    Raises:
        EmbeddedUnavailableError: something listens there already.
    """
    if not is_free(port):
        msg = f"{name}: port {port} on {HOST} is taken; stop what listens there, or name another port (0 picks one)"
        raise EmbeddedUnavailableError(msg)
