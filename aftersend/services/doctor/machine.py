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
#: Free space below which to warn, and below which RocksDB may stop, bytes.
_WARN_BYTES: Final = 5 * _GIB
_FAIL_BYTES: Final = _GIB // 2
#: Limit of open files below which to warn: a worker has connections for each partition to each broker, and RocksDB its
#: files in addition; and below which workers fail.
_WARN_FILES: Final = 1024
_WARN_FILES_ROCKSDB: Final = 4096
_FAIL_FILES: Final = 256


async def check_disk(settings: Settings) -> list[Finding]:
    """Check the folder of the RocksDB store."""
    check = "disk"
    if settings.store == "memory":
        return [ok(check, "not used: rows are in memory (AFTERSEND_STORE=memory)")]
    folder = settings.data_dir.absolute()
    existing = _nearest(folder)
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        advice = f"give this user write access to {folder} (AFTERSEND_DATA_DIR)"
        return [failed(check, f"{existing} can't be written to", advice)]
    free = shutil.disk_usage(existing).free
    found = f"{free / _GIB:.1f} GiB free in {folder} (AFTERSEND_DATA_DIR)"
    if free < _WARN_BYTES:
        report = failed if free < _FAIL_BYTES else warning
        return [report(check, found, "free space, or set AFTERSEND_DATA_DIR to a folder on a larger disk")]
    return [ok(check, found)]


def _nearest(folder: Path) -> Path:
    """Return the folder, or its nearest existing parent."""
    return next(path for path in (folder, *folder.parents) if path.exists())


async def check_files(settings: Settings) -> list[Finding]:
    """Check the limit of open files."""
    check = "open files"
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        return [ok(check, "no limit" if soft == hard else f"limit {soft}, which processes raise as they need")]
    found = f"limit {soft}" if soft == hard else f"limit {soft}, which workers and gateways raise to {hard}"
    wanted = _WARN_FILES_ROCKSDB if settings.store == "rocksdb" else _WARN_FILES
    if hard < wanted:
        report = failed if hard < _FAIL_FILES else warning
        return [report(check, found, f"raise it to {wanted} or more: `ulimit -n`, or LimitNOFILE of the service")]
    return [ok(check, found)]
