"""A guard that kills a server when the process that started it is gone, however that came about."""

import contextlib
import subprocess

# The shell first reads the server's pid, then waits: its standard input ends when the parent closes it or dies.
# The kernel's own parent-death signal is no use here, since it fires when the *thread* that started the server ends.
_SCRIPT = 'read -r pid || exit 0; read -r released && exit 0; kill -9 "$pid" 2>/dev/null'


class Guard:
    """Kills one process (SIGKILL) once the process that made the guard has ended without `release`."""

    def __init__(self) -> None:
        # A session of its own, so that Ctrl-C in a terminal does not end the guard before its time.
        self._shell = subprocess.Popen(
            ["sh", "-c", _SCRIPT],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            bufsize=0,
        )

    def watch(self, pid: int) -> None:
        """Name the process to kill; to be called once."""
        self._say(f"{pid}\n")

    def release(self) -> None:
        """End the guard without killing anything."""
        self._say("released\n")
        if self._shell.stdin is not None:
            self._shell.stdin.close()
        self._shell.wait()

    def _say(self, line: str) -> None:
        if self._shell.stdin is not None:
            # Where somebody has ended the guard, the server is merely unguarded.
            with contextlib.suppress(BrokenPipeError):
                self._shell.stdin.write(line.encode())
