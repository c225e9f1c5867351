"""A disk that is soon full, and `aftersend worker` on it.

Where mounting is allowed (root), the disk is a file system of its own in memory that is really full. Elsewhere no file
of the worker may grow beyond a limit, which is what a quota does; run as a module, this is that worker.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

_MODULE = "tests.system.chaos.small_disk"
_LIMIT = "_TEST_FILE_BYTES"


class SmallDisk:
    """A disk for the data of one worker.

    Args:
        folder: where it lies; made if need be.
        size: of it, bytes; without a file system of its own, of the largest file.
        mount: whether it is a file system of its own, where that is allowed.
    """

    def __init__(self, folder: Path, size: int, *, mount: bool = True) -> None:
        self.folder = folder
        self.size = size
        folder.mkdir(parents=True, exist_ok=True)
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
        #: Whether it is a file system of its own.
        self.mounted = mount and sys.platform == "linux" and _succeeds(command)

    @property
    def module(self) -> str:
        """What to run as a worker while the disk is small."""
        return "aftersend.cli.main" if self.mounted else _MODULE

    def use(self) -> None:
        """Have workers that start from now on find the small disk."""
        if not self.mounted:
            os.environ[_LIMIT] = str(self.size)

    def fill(self) -> None:
        """Take all the room that is left; without a file system of its own, it is as full as it gets."""
        if self.mounted:
            block = b"\0" * 4096
            with (self.folder / "filling").open("wb", buffering=0) as file:
                try:
                    while file.write(block):
                        pass
                except OSError:
                    return

    def extend(self) -> None:
        """Make room."""
        os.environ.pop(_LIMIT, None)
        if self.mounted:
            (self.folder / "filling").unlink(missing_ok=True)
            subprocess.run(["mount", "-o", "remount,size=1g", str(self.folder)], check=True)

    def remove(self) -> None:
        """Unmount it; its files are gone."""
        os.environ.pop(_LIMIT, None)
        if self.mounted:
            subprocess.run(["umount", "-l", str(self.folder)], check=False)


def _succeeds(command: list[str]) -> bool:
    try:
        return subprocess.run(command, check=False, capture_output=True).returncode == 0
    except OSError:
        return False


if __name__ == "__main__":
    from aftersend.cli.main import main

    if _LIMIT in os.environ:
        limit = int(os.environ[_LIMIT])
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    sys.exit(main())
