"""HTTP inside a process's own event loop: a socket that listens, and uvicorn on it."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable

import uvicorn

from aftersend.errors import SettingsError


def listen(host: str, port: int, told: Callable[[str], str], taken: str = "is taken", *, shared: bool) -> socket.socket:
    """Return a socket that listens.

    Args:
        host: address or name.
        port: of the address.
        told: makes the error's message of what is wrong with the address ("127.0.0.1:80 is taken").
        taken: how to say that somebody else has the port.
        shared: whether processes share the port; the kernel spreads connections over them.

    Raises:
        SettingsError: if the address is taken, or none of this machine's.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as error:
        raise SettingsError(f"{host} is no address of this machine's: {error.strerror}") from error
    family, kind, _, _, address = found[0]
    listener = socket.socket(family, kind)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(address)
        listener.settimeout(0)
    except OSError as error:
        listener.close()
        why = taken if error.errno == errno.EADDRINUSE else f"failed: {error.strerror}"
        raise SettingsError(told(f"{host}:{port} {why}")) from error
    return listener


async def serve(config: uvicorn.Config, listener: socket.socket) -> uvicorn.Server:
    """Serve until the server's `shutdown`."""
    config.load()
    server = uvicorn.Server(config)
    # Not `serve`, which takes the signals and wakes up ten times a second.
    server.lifespan = config.lifespan_class(config)
    await server.startup(sockets=[listener])
    return server
