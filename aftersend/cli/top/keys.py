"""Single keys from a terminal, without Enter and without showing them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import termios
import tty
from collections.abc import Iterator


@contextlib.contextmanager
def keys(loop: asyncio.AbstractEventLoop) -> Iterator[asyncio.Queue[str]]:
    """Give a queue of the keys that are pressed; the terminal is as it was in the end.

    Where standard input is no terminal, no keys come.
    """
    pressed: asyncio.Queue[str] = asyncio.Queue()
    if not sys.stdin.isatty():
        yield pressed
        return
    number = sys.stdin.fileno()

    def read() -> None:
        data = os.read(number, 32)
        if not data:  # the terminal is gone
            loop.remove_reader(number)
            pressed.put_nowait("q")
        for character in data.decode(errors="replace"):
            pressed.put_nowait(character)

    before = termios.tcgetattr(number)
    # Ctrl-C stays a signal.
    tty.setcbreak(number)
    loop.add_reader(number, read)
    try:
        yield pressed
    finally:
        loop.remove_reader(number)
        termios.tcsetattr(number, termios.TCSADRAIN, before)
