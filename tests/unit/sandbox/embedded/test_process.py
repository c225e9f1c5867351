"""The base class of the embedded servers, with a small server that starts at once."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from aftersend.sandbox.embedded import EmbeddedProcess, EmbeddedUnavailableError
from aftersend.sandbox.embedded.ports import HOST, pick_free
from tests.paths import ROOT
from tests.patience import PATIENCE

SERVER = """
import socket, sys
with socket.create_server(("127.0.0.1", int(sys.argv[1]))) as server:
    while True:
        connection, _ = server.accept()
        connection.sendall(b"here")
        connection.close()
"""

PARENT = """
import sys, time
from pathlib import Path
sys.path[:0] = [sys.argv[1], sys.argv[2]]
from test_process import EchoServer
server = EchoServer(Path(sys.argv[3]))
server.start()
print(server.pid, flush=True)
time.sleep(60)
"""


class EchoServer(EmbeddedProcess):
    """Answers `here` to every connection."""

    name = "Echo"

    def __init__(self, data_dir: Path, script: str = SERVER) -> None:
        super().__init__(data_dir)
        self.port = pick_free(1)[0]
        self._script = script

    def ports(self) -> list[int]:
        return [self.port]

    def prepare(self) -> list[str]:
        return [sys.executable, "-c", self._script, str(self.port)]

    def ping(self) -> bool:
        try:
            with socket.create_connection((HOST, self.port), timeout=2.0) as connection:
                return connection.recv(4) == b"here"
        except OSError:
            return False


def test_starts_stops_and_starts_again_on_the_same_port(tmp_path: Path) -> None:
    server = EchoServer(tmp_path / "made" / "by start")
    port = server.port

    server.start()
    first = server.pid
    server.start()
    assert first == server.pid
    server.restart()
    assert first != server.pid
    server.kill()
    assert not server.ready()
    server.start()
    assert server.ready()
    server.stop()

    assert not server.running
    assert port == server.port


def test_a_context_manager_starts_and_stops_the_server(tmp_path: Path) -> None:
    with EchoServer(tmp_path) as server:
        assert server.ready()
    assert not server.running


def test_a_paused_server_does_not_answer_until_resumed(tmp_path: Path) -> None:
    with EchoServer(tmp_path) as server:
        server.pause()
        assert server.running
        assert not server.ready()
        server.resume()
        assert server.ready()


def test_a_paused_server_can_be_stopped(tmp_path: Path) -> None:
    server = EchoServer(tmp_path)
    server.start()
    server.pause()
    server.stop(timeout=PATIENCE)
    assert not server.running


def test_a_server_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    server = EchoServer(tmp_path, "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)" + SERVER)
    server.start()
    server.stop(timeout=0.2)
    assert not server.running


def test_without_a_running_server_there_is_nothing_to_signal(tmp_path: Path) -> None:
    server = EchoServer(tmp_path)

    server.stop()
    server.kill()
    for action in (server.pause, server.resume, lambda: server.pid):
        with pytest.raises(RuntimeError, match="Echo is not running"):
            action()


def test_the_error_of_a_failed_start_has_the_last_log_line(tmp_path: Path) -> None:
    server = EchoServer(tmp_path, "raise SystemExit('ERROR: no such luck')")

    with pytest.raises(EmbeddedUnavailableError, match="Echo ended while starting: ERROR: no such luck") as error:
        server.start()

    assert "\n" not in str(error.value)
    assert not server.running


def test_a_server_that_is_not_ready_in_time_is_killed(tmp_path: Path) -> None:
    server = EchoServer(tmp_path, "import time; time.sleep(60)")

    with pytest.raises(EmbeddedUnavailableError, match=r"not ready after 0\.3 s"):
        server.start(timeout=0.3)

    assert not server.running


def test_a_port_in_use_is_an_error(tmp_path: Path) -> None:
    server = EchoServer(tmp_path)
    with (
        socket.create_server((HOST, server.port)),
        pytest.raises(EmbeddedUnavailableError, match="another process uses port"),
    ):
        server.start()


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_a_server_does_not_outlive_a_killed_parent(tmp_path: Path, end: signal.Signals) -> None:
    root = ROOT
    arguments = [sys.executable, "-c", PARENT, str(root), str(Path(__file__).parent), str(tmp_path)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.send_signal(end)
        parent.wait(PATIENCE)

    assert _soon(lambda: not _exists(pid))


def _soon(condition: Callable[[], bool], timeout: float = PATIENCE) -> bool:
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
