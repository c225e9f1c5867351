"""Downloads Kafka's jars once into the user's cache, from a lock file with the SHA-256 of each."""

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from aftersend.sandbox.embedded.errors import EmbeddedUnavailableError

if TYPE_CHECKING:
    from jgo.maven import MavenContext

LOCK_FILE = Path(__file__).with_name("kafka-jars.lock")

# Parallel downloads; more are no faster.
_PARALLEL = 8
_ATTEMPTS = 3
# Time without data until a download fails, in seconds.
_TIMEOUT = 30


@dataclass(frozen=True, slots=True)
class Jar:
    """One jar of the lock file."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def file_name(self) -> str:
        """File name of the jar, in the cache and in the repository."""
        return f"{self.artifact}-{self.version}.jar"


def locked_jars(lock_file: Path = LOCK_FILE) -> list[Jar]:
    """Read the lock file: one `group:artifact:version sha256` per line."""
    lines = [line for line in lock_file.read_text().splitlines() if line and not line.startswith("#")]
    return [_parse(line) for line in lines]


def kafka_version(jars: list[Jar]) -> str:
    """Return the version of the broker among these jars."""
    return next(jar.version for jar in jars if jar.artifact.startswith("kafka_"))


def cache_dir(jars: list[Jar]) -> Path:
    """Return the cache folder of these jars, below XDG_CACHE_HOME or ~/.cache."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "aftersend" / f"kafka-{kafka_version(jars)}"


def ensure_jars(progress: Callable[[int, int], None] | None = None) -> list[Path]:
    """Return the paths of all locked jars; download those that are missing.

    A jar gets its name in the cache only once it is complete and verified, so that an interrupted download continues
    with the missing jars. Several processes may call this at the same time: one downloads, the others wait.

    Args:
        progress: called with the number of jars in the cache and the number of all jars, while some are missing.

    Raises:
        EmbeddedUnavailableError: a jar could not be downloaded, or its SHA-256 differs from the lock file.
    """
    jars = locked_jars()
    folder = cache_dir(jars)
    paths = [folder / jar.file_name for jar in jars]
    if all(path.exists() for path in paths):
        return paths
    with _locked(folder):
        missing = [jar for jar in jars if not (folder / jar.file_name).exists()]
        _fetch_all(missing, folder, lambda done: progress and progress(len(jars) - len(missing) + done, len(jars)))
    return paths


def _parse(line: str) -> Jar:
    coordinates, sha256 = line.split()
    group, artifact, version = coordinates.split(":")
    return Jar(group, artifact, version, sha256)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".lock").open("w")
    except OSError as error:
        raise EmbeddedUnavailableError(
            f"cannot write Kafka's jars to {folder}: {error.strerror}; set XDG_CACHE_HOME to a writable folder"
        ) from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _fetch_all(jars: list[Jar], folder: Path, progress: Callable[[int], object]) -> None:
    for left_over in folder.glob("incoming-*"):
        shutil.rmtree(left_over, ignore_errors=True)
    with (
        tempfile.TemporaryDirectory(prefix="incoming-", dir=folder) as incoming,
        ThreadPoolExecutor(_PARALLEL) as pool,
    ):
        # jgo writes incomplete files into its repository folder, so that folder is private to this call.
        maven = _maven(Path(incoming))
        tasks = [pool.submit(_fetch, jar, maven, folder) for jar in jars]
        try:
            for done, task in enumerate(as_completed(tasks), start=1):
                task.result()
                progress(done)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _maven(folder: Path) -> "MavenContext":
    try:
        from jgo.maven import MavenContext
    except ImportError as error:
        raise EmbeddedUnavailableError(
            "cannot download Kafka's jars without the package jgo: run \"pip install 'aftersend[embedded]'\""
        ) from error
    return MavenContext(repo_cache=folder, timeout=_TIMEOUT)


def _fetch(jar: Jar, maven: "MavenContext", folder: Path) -> None:
    artifact = maven.project(jar.group, jar.artifact).at_version(jar.version).artifact()
    reason = ""
    for _ in range(_ATTEMPTS):
        try:
            path = artifact.resolve()
            if hashlib.sha256(path.read_bytes()).hexdigest() == jar.sha256:
                path.replace(folder / jar.file_name)
                return
            reason = "its SHA-256 differs from the lock file"
        except OSError as error:  # errors of `requests` are OSErrors, as is a full disk
            reason = type(error).__name__
        except RuntimeError:
            reason = "the repository does not have it"
        # jgo would take an incomplete file for a complete one at the next attempt.
        (maven.repo_cache / artifact.component.path_prefix / jar.file_name).unlink(missing_ok=True)
    raise EmbeddedUnavailableError(
        f"could not download Kafka's jar {jar.file_name} from Maven Central ({reason}); check the network and, if "
        "there is a proxy, HTTPS_PROXY, or set AFTERSEND_KAFKA_BOOTSTRAP to an existing Kafka"
    )
