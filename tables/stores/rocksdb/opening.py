"""Opening a partition's local database: locked, undamaged, recent enough, and in the present layout."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from pathlib import Path
from struct import Struct
from typing import Final

import structlog
from msgspec.structs import fields
from rocksdict import DbClosedError, Options, Rdict, WriteBatch

from aftersend.errors import AftersendError, DiskUnusableError
from aftersend.schemas.contact import Contact, ContactError, Notice, Release, Unsubscription
from aftersend.schemas.kpi import KpiPartial
from aftersend.schemas.recipient import Failure, Row
from aftersend.schemas.version import SCHEMA_VERSION

log = structlog.get_logger(__name__)

#: Keys of a database's metadata.
LAYOUT_KEY: Final = b"mlayout"
IDENTITY_KEY: Final = b"midentity"
#: When it was last complete: whatever it lacks was written to the changelogs later. Seconds since 1970.
FRESH_KEY: Final = b"mfresh"
TIME: Final = Struct(">d")

_STORED: Final = (Row, Failure, KpiPartial, Contact, Notice, ContactError, Release, Unsubscription)
#: Everything that determines the meaning of stored bytes; bytes of another layout can't be read.
LAYOUT: Final = "; ".join(
    [
        f"schema {SCHEMA_VERSION}, keys 1",
        *(f"{kind.__name__}: {' '.join(field.encode_name for field in fields(kind))}" for kind in _STORED),
    ]
).encode()

_HOUR: Final = 3600.0
_NOTHING: Final = (None, None, None)
#: What RocksDB's messages quote of the system where the machine is at fault: such a database is not damaged, and stays.
_TOO_MANY_FILES: Final = (os.strerror(errno.EMFILE), os.strerror(errno.ENFILE))
_MACHINE: Final = (
    *_TOO_MANY_FILES,
    *(
        os.strerror(number)
        for number in (
            errno.ENOSPC,
            errno.EDQUOT,
            errno.EFBIG,
            errno.EACCES,
            errno.EPERM,
            errno.EROFS,
            errno.ENOMEM,
        )
    ),
)


class StoreInUseError(AftersendError):
    """Another process uses the directory."""


class StoreUnusableError(DiskUnusableError):
    """The disk can't be used: full, read-only, or of another owner; or no more files can be opened."""


class _DamagedError(Exception):
    """The database can't be opened; the message is RocksDB's."""


def _opening_error(path: Path, error: Exception) -> Exception:
    """Return the error to raise for one of RocksDB's while a database is opened: only damage costs the database."""
    text = str(error)
    if any(said in text for said in _MACHINE):
        return unusable(path, error)
    return _DamagedError(text)


def open_database(path: Path, options: Options, identity: str, max_age: float, now: float) -> Rdict:
    """Open a partition's database; one that can't be used is deleted, and restored from the changelogs.

    Args:
        path: the partition's own directory.
        options: of RocksDB.
        identity: of the state.
        max_age: seconds after which the changelogs may have lost tombstones that the database lacks.
        now: seconds since 1970.

    Raises:
        StoreInUseError: if another process has the directory.
        StoreUnusableError: if the directory can't be written.
    """
    existed = (path / "CURRENT").exists()
    try:
        path.mkdir(parents=True, exist_ok=True)
        database = _open(path, options)
        if not existed:
            return _introduced(path, database, identity, now)
        reason = _unfit(path, database, identity, max_age, now)
        if not reason:
            return database
        close_database(database)
    except OSError as error:
        raise unusable(path, error) from error
    except _DamagedError as error:
        reason = str(error)
    return renew(path, options, identity, now, reason)


def renew(path: Path, options: Options, identity: str, now: float, reason: str) -> Rdict:
    """Delete a database that is not open, and open an empty one in its place.

    Raises:
        StoreUnusableError: if the directory can't be written.
    """
    log.warning("local state is thrown away, the changelogs restore it", directory=str(path), reason=reason)
    try:
        destroy(path)
        path.mkdir(parents=True)
        return _introduced(path, _open(path, options), identity, now)
    except (OSError, _DamagedError) as error:
        raise unusable(path, error) from error


def destroy(path: Path) -> None:
    """Remove a database that is not open."""
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(path)


def remove_forgotten(directory: Path, max_age: float, now: float) -> None:
    """Remove the databases of partitions that went to other workers and were not used for too long."""
    for path in sorted(directory.glob("partition-*")):
        try:
            used_at = max(file.stat().st_mtime for file in (path, *path.iterdir()))
            if now - used_at > max_age:
                Rdict.destroy(str(path))  # fails if it is open
                destroy(path)
        except Exception as error:  # noqa: BLE001 - RocksDB's errors have no types of their own here
            log.info("an old local store stays", directory=str(path), error=str(error))


def unusable(path: Path, error: Exception) -> StoreUnusableError:
    """Return the error for the operator."""
    if any(said in str(error) for said in _TOO_MANY_FILES):
        advice = "raise the limit of open files (`ulimit -n`, LimitNOFILE of the service)"
    else:
        advice = (
            "see that the disk under data_dir has room and is writable, or set data_dir to another directory (the "
            "changelogs fill it)"
        )
    return StoreUnusableError(f"the local store {path} can't be used ({error}): {advice}. Nothing is lost")


def _open(path: Path, options: Options) -> Rdict:
    try:
        return Rdict(str(path), options)
    except Exception as error:
        # RocksDB's errors have no types of their own here.
        text = str(error)
        if "/LOCK: " in text and not any(said in text for said in _TOO_MANY_FILES):
            raise StoreInUseError(
                f"the local store {path} is in use by another process: each worker process needs a data_dir of its own "
                f"({text})"
            ) from error
        raise _opening_error(path, error) from error


def _introduced(path: Path, database: Rdict, identity: str, now: float) -> Rdict:
    batch = WriteBatch(raw_mode=True)
    batch[LAYOUT_KEY] = LAYOUT
    batch[IDENTITY_KEY] = identity.encode()
    # An empty store lacks no tombstone that matters, so it counts as complete up to now.
    batch[FRESH_KEY] = TIME.pack(now)
    try:
        database.write(batch)
    except Exception as error:
        close_database(database)
        raise _opening_error(path, error) from error
    return database


def close_database(database: Rdict) -> None:
    """Close a database whatever its state; one that could not write what it was told to says so once more."""
    try:
        database.close()
    except DbClosedError:
        pass
    except Exception as error:  # noqa: BLE001 - RocksDB's errors have no types of their own here
        log.info("a local store did not close in order", error=str(error))


def _unfit(path: Path, database: Rdict, identity: str, max_age: float, now: float) -> str:
    """Return why a database can't be used, "" if it can."""
    try:
        layout, whose, fresh = database.get([LAYOUT_KEY, IDENTITY_KEY, FRESH_KEY]) or _NOTHING
    except Exception as error:
        refused = _opening_error(path, error)
        if isinstance(refused, StoreUnusableError):
            close_database(database)
            raise refused from error
        return str(error)
    if layout != LAYOUT or fresh is None:
        return "it was written by a version that keeps its state otherwise"
    if whose != identity.encode():
        return "it is the state of another installation"
    age = now - TIME.unpack(fresh)[0]
    if age > max_age:
        return f"it was last in use {age / _HOUR:.1f} hours ago, more than the {max_age / _HOUR:.1f} that are safe"
    if age < -_HOUR:
        return "it was last in use in the future: the clock has been wrong"
    return ""
