"""Checks of this machine: its disk, and the limit of open files."""

from __future__ import annotations

import os
import resource
import shutil
from pathlib import Path
from typing import Final

from aftersend.config.settings import Settings
from aftersend.services.doctor.findings import Finding, failed, ok, warning

_GIB: Final = 1024**3
#: Free space below which it is worth a word, bytes, and below which RocksDB may stop.
_LITTLE: Final = 5 * _GIB
_NONE: Final = _GIB // 2
#: Open files below which it is worth a word: a worker has a connection for each partition to each broker; RocksDB has
#: its files besides.
_FILES: Final = 1024
_FILES_ROCKSDB: Final = 4096
_FEW_FILES: Final = 256


async def check_disk(settings: Settings) -> list[Finding]:
    """Check where the RocksDB store keeps its files."""
    check = "disk"
    if settings.store == "memory":
        return [ok(check, "not needed: rows are in memory (AFTERSEND_STORE=memory)")]
    folder = settings.data_dir.absolute()
    there = _nearest(folder)
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        return [failed(check, f"{there} can't be written to", f"let this user write to {folder} (AFTERSEND_DATA_DIR)")]
    free = shutil.disk_usage(there).free
    found = f"{free / _GIB:.1f} GiB free in {folder} (AFTERSEND_DATA_DIR)"
    if free < _LITTLE:
        report = failed if free < _NONE else warning
        return [report(check, found, "make room, or set AFTERSEND_DATA_DIR to a larger disk")]
    return [ok(check, found)]


def _nearest(folder: Path) -> Path:
    """Return a path itself, or what of it there is."""
    return next(path for path in (folder, *folder.parents) if path.exists())


async def check_files(settings: Settings) -> list[Finding]:
    """Check how many files this user may have open."""
    check = "open files"
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return [ok(check, "no limit")]
    found = f"{soft} at once (may be raised to {'any number' if hard == resource.RLIM_INFINITY else hard})"
    wanted = _FILES_ROCKSDB if settings.store == "rocksdb" else _FILES
    if soft < wanted:
        report = failed if soft < _FEW_FILES else warning
        return [report(check, found, f"raise it to {wanted} or more: `ulimit -n`, or LimitNOFILE of the service")]
    return [ok(check, found)]
