"""HTTP in a process's own event loop: a listening socket, and uvicorn on it."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable

import uvicorn

from aftersend.errors import SettingsError


def listen(
    host: str, port: int, message: Callable[[str], str], taken: str = "is taken", *, shared: bool
) -> socket.socket:
    """Return a listening socket.

    Args:
        host: address or name.
        port: port number.
        message: makes the error message from the cause ("127.0.0.1:80 is taken").
        taken: the cause where the port is in use.
        shared: whether several processes listen on the port; the kernel distributes connections over them.

    Raises:
        SettingsError: if the address is in use, or not of this machine.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as error:
        raise SettingsError(f"{host} is not an address of this machine: {error.strerror}") from error
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
        raise SettingsError(message(f"{host}:{port} {why}")) from error
    return listener


async def serve(config: uvicorn.Config, listener: socket.socket) -> uvicorn.Server:
    """Start serving; the server runs until its `shutdown`."""
    config.load()
    server = uvicorn.Server(config)
    # Not `serve`, which handles signals and wakes up ten times a second.
    server.lifespan = config.lifespan_class(config)
    await server.startup(sockets=[listener])
    return server
