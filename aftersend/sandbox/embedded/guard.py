"""Kills a server when the process that started it has ended, for whatever reason."""

import contextlib
import subprocess

# The shell first reads the server's pid, then waits: its standard input ends when the parent closes it or dies.
# The kernel's parent-death signal does not work here: it is sent when the *thread* that started the server ends.
_SCRIPT = 'read -r pid || exit 0; read -r released && exit 0; kill -9 "$pid" 2>/dev/null'


class Guard:
    """Kills one process (SIGKILL) once the process that created the guard has ended without `release`."""

    def __init__(self) -> None:
        # In a session of its own, because Ctrl-C in a terminal would end the guard before the server.
        self._shell = subprocess.Popen(
            ["sh", "-c", _SCRIPT],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            bufsize=0,
        )

    def watch(self, pid: int) -> None:
        """Set the process to kill; call this once."""
        self._write(f"{pid}\n")

    def release(self) -> None:
        """End the guard without killing anything."""
        self._write("released\n")
        if self._shell.stdin is not None:
            self._shell.stdin.close()
        self._shell.wait()

    def _write(self, line: str) -> None:
        if self._shell.stdin is not None:
            # The pipe is broken if the guard was killed; the server then runs without one.
            with contextlib.suppress(BrokenPipeError):
                self._shell.stdin.write(line.encode())
