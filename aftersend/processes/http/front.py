"""HTTP in a process's own event loop: a listening socket, and the server on it."""

from __future__ import annotations

import errno
import functools
import socket
from collections.abc import Callable
from typing import Any, cast

import uvicorn

from aftersend.errors import SettingsError
from aftersend.processes.http.connections import Connections
from aftersend.processes.http.limits import HttpLimits
from aftersend.processes.http.protocol import FrontProtocol


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


async def serve(app: Any, listener: socket.socket, limits: HttpLimits, *, grace: int, backlog: int) -> uvicorn.Server:
    """Start serving; the server runs until its `shutdown`.

    Args:
        app: an ASGI application.
        listener: from `listen`.
        limits: of connections and requests.
        grace: time that requests in progress have at the end, seconds.
        backlog: connections that wait to be accepted; the kernel refuses more.
    """
    config = uvicorn.Config(
        app,
        # uvicorn's type is a class; it only calls it.
        http=cast("Any", functools.partial(FrontProtocol, limits, Connections(limits.connections))),
        log_config=None,
        log_level="error",  # anybody could fill the log with warnings about requests that are no HTTP
        access_log=False,
        lifespan="off",
        ws="none",
        backlog=backlog,
        date_header=False,  # needs a timer
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=cast("int", limits.idle_seconds),  # any number of seconds
        timeout_graceful_shutdown=grace,
    )
    config.load()
    server = uvicorn.Server(config)
    # Not `serve`, which handles signals and wakes up ten times a second.
    server.lifespan = config.lifespan_class(config)
    await server.startup(sockets=[listener])
    return server
