"""Single keys of a terminal, read without Enter and without echo."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import termios
import tty
from collections.abc import Iterator


@contextlib.contextmanager
def pressed_keys(loop: asyncio.AbstractEventLoop) -> Iterator[asyncio.Queue[str]]:
    """Return a queue of pressed keys; on exit the terminal's mode is restored.

    The queue stays empty where standard input is not a terminal.
    """
    pressed: asyncio.Queue[str] = asyncio.Queue()
    if not sys.stdin.isatty():
        yield pressed
        return
    number = sys.stdin.fileno()

    def read() -> None:
        data = os.read(number, 32)
        if not data:  # the terminal was closed
            loop.remove_reader(number)
            pressed.put_nowait("q")
        for character in data.decode(errors="replace"):
            pressed.put_nowait(character)

    before = termios.tcgetattr(number)
    # Ctrl-C still sends SIGINT.
    tty.setcbreak(number)
    loop.add_reader(number, read)
    try:
        yield pressed
    finally:
        loop.remove_reader(number)
        termios.tcsetattr(number, termios.TCSADRAIN, before)
