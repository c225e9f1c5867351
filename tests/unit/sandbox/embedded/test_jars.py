import hashlib
import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from aftersend.sandbox.embedded import EmbeddedUnavailableError, jars
from aftersend.sandbox.embedded.jars import Jar, cache_dir, ensure_jars, kafka_version, locked_jars
from aftersend.sandbox.embedded.lock import ROOTS


class FakeRepository:
    """Replaces jgo: returns the given bytes, or raises; counts the requests."""

    def __init__(self, folder: Path, contents: dict[str, bytes | Exception]) -> None:
        self.repo_cache = folder
        self.contents = contents
        self.requests: list[str] = []

    def project(self, _group: str, artifact: str) -> SimpleNamespace:
        def resolve(version: str) -> Path:
            name = f"{artifact}-{version}.jar"
            self.requests.append(name)
            content = self.contents[name]
            if isinstance(content, Exception):
                raise content
            path = self.repo_cache / name
            path.write_bytes(content)
            return path

        def at_version(version: str) -> SimpleNamespace:
            component = SimpleNamespace(path_prefix=".")
            return SimpleNamespace(
                artifact=lambda: SimpleNamespace(component=component, resolve=lambda: resolve(version))
            )

        return SimpleNamespace(at_version=at_version)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and a list of two jars."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    locked = [
        Jar("g", "kafka_2.13", "4.0", hashlib.sha256(b"broker").hexdigest()),
        Jar("g", "zstd", "1.5", hashlib.sha256(b"zstd").hexdigest()),
    ]
    monkeypatch.setattr(jars, "locked_jars", lambda: locked)
    return tmp_path / "aftersend" / "kafka-4.0"


def _serve(monkeypatch: pytest.MonkeyPatch, contents: dict[str, bytes | Exception]) -> list[FakeRepository]:
    made: list[FakeRepository] = []

    def make(folder: Path) -> FakeRepository:
        made.append(FakeRepository(folder, contents))
        return made[-1]

    monkeypatch.setattr(jars, "_maven", make)
    return made


def test_the_lock_holds_kafka_and_a_hash_for_each_jar() -> None:
    locked = locked_jars()

    assert ROOTS[0][2] == kafka_version(locked)
    assert {(jar.group, jar.artifact, jar.version) for jar in locked} >= set(ROOTS)
    assert all(re.fullmatch("[0-9a-f]{64}", jar.sha256) for jar in locked)
    assert len(locked) == len({jar.file_name for jar in locked})


def test_the_cache_is_below_the_users_home_by_default(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))

    assert tmp_path / ".cache" / "aftersend" / "kafka-4.1.1" == cache_dir([Jar("g", "kafka_2.13", "4.1.1", "")])


def test_missing_jars_are_downloaded_once(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = _serve(monkeypatch, {"kafka_2.13-4.0.jar": b"broker", "zstd-1.5.jar": b"zstd"})
    seen: list[tuple[int, int]] = []

    paths = ensure_jars(lambda done, of: seen.append((done, of)))

    assert [cache / "kafka_2.13-4.0.jar", cache / "zstd-1.5.jar"] == paths
    assert [b"broker", b"zstd"] == [path.read_bytes() for path in paths]
    assert [(1, 2), (2, 2)] == seen
    assert paths == ensure_jars()
    assert 1 == len(made)
    assert not list(cache.glob("incoming-*"))


def test_a_jar_that_is_not_the_locked_one_is_never_kept(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _serve(monkeypatch, {"kafka_2.13-4.0.jar": b"something else", "zstd-1.5.jar": b"zstd"})

    with pytest.raises(EmbeddedUnavailableError, match=r"kafka_2\.13-4\.0\.jar .*SHA-256"):
        ensure_jars()

    assert not (cache / "kafka_2.13-4.0.jar").exists()


def test_an_interrupted_download_continues_with_the_missing_jars(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A killed process leaves complete jars, and a folder that the next one deletes."""
    cache.mkdir(parents=True)
    (cache / "zstd-1.5.jar").write_bytes(b"zstd")
    (cache / "incoming-dead").mkdir()
    (cache / "incoming-dead" / "kafka_2.13-4.0.jar").write_bytes(b"bro")
    made = _serve(monkeypatch, {"kafka_2.13-4.0.jar": b"broker"})

    ensure_jars()

    assert ["kafka_2.13-4.0.jar"] == made[0].requests
    assert not (cache / "incoming-dead").exists()


@pytest.mark.parametrize(
    "problem,words",
    [(ConnectionError("unreachable"), "ConnectionError"), (RuntimeError("404"), "the repository does not have it")],
)
def test_an_error_has_the_reason_of_a_failed_download(
    cache: Path, monkeypatch: pytest.MonkeyPatch, problem: Exception, words: str
) -> None:
    made = _serve(monkeypatch, {"kafka_2.13-4.0.jar": problem, "zstd-1.5.jar": b"zstd"})

    with pytest.raises(EmbeddedUnavailableError, match=words) as error:
        ensure_jars()

    assert "\n" not in str(error.value)
    assert 3 == made[0].requests.count("kafka_2.13-4.0.jar")
    assert not (cache / "kafka_2.13-4.0.jar").exists()


def test_a_cache_that_is_not_writable_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))

    with pytest.raises(EmbeddedUnavailableError, match="XDG_CACHE_HOME"):
        ensure_jars()
