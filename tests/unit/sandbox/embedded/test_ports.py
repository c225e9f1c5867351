import socket

import pytest

from aftersend.sandbox.embedded import EmbeddedUnavailableError
from aftersend.sandbox.embedded.ports import HOST, is_free, pick_free, require_free


def test_free_ports_are_different() -> None:
    ports = pick_free(5)

    assert 5 == len(set(ports))
    assert all(is_free(port) for port in ports)


def test_free_ports_are_below_those_of_outgoing_connections() -> None:
    assert all(1024 < port < 32_768 for port in pick_free(5))


def test_a_port_in_use_is_named_in_the_error() -> None:
    with socket.create_server((HOST, 0)) as server:
        port = server.getsockname()[1]

        assert not is_free(port)
        with pytest.raises(EmbeddedUnavailableError, match=f"Redis: another process uses port {port} "):
            require_free(port, "Redis")
