"""What all tests share: the corpus of real payloads, and what happens where something outside is missing."""

import ast
import gc
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest
import structlog
from hypothesis import settings

from aftersend.sandbox.embedded import ports as _ports
from tests import sharing
from tests.paths import ROOT

IN_CI = os.environ.get("AFTERSEND_CI") == "1"

_EXIT_STATUS = pytest.StashKey[int]()

# On a shared machine one slow example says nothing; in CI the same examples are tried each time.
settings.register_profile("local", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if IN_CI else "local")

# Processes that share a run never pick a port that another one has just picked, or frees for a moment.
_ports._PORTS = sharing.ports(os.environ.get("PYTEST_XDIST_WORKER", ""))

# Commands print names in the language of the environment; tests expect English wherever they run.
os.environ["LC_ALL"] = "C.UTF-8"

# What a shell runs in its background ignores Ctrl-C, and so would all that the tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

_parse: Callable[..., Any] = ast.parse
_parsing = threading.RLock()


def _parse_undisturbed(*args: Any, **options: Any) -> Any:
    """Parse, with no garbage collected meanwhile.

    While Python turns what it has parsed into objects, the garbage collector may run, and what that finalises may
    parse as well: asyncio logs "exception was never retrieved" from there, and a traceback parses the lines it shows.
    Both count the depth of their trees in the same place, so one of them fails with "SystemError: AST constructor
    recursion depth mismatch": in the midst of an import (pytest parses what it rewrites), or of a report, which ends
    the whole run. Python 3.11.8 and 3.12.2 have that mended.
    """
    with _parsing:
        collecting = gc.isenabled()
        gc.disable()
        try:
            return _parse(*args, **options)
        finally:
            if collecting:
                gc.enable()


if sys.version_info < (3, 11, 8) or (3, 12) <= sys.version_info < (3, 12, 2):
    ast.parse = _parse_undisturbed


@pytest.fixture(autouse=True)
def _logs_as_they_come() -> Iterator[None]:
    """Undo what a command has set up for its process's log lines."""
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def unavailable() -> Callable[[str], NoReturn]:
    """Skip with a reason where something outside the tree is missing; in CI (AFTERSEND_CI=1), fail instead."""

    def give_up(reason: str) -> NoReturn:
        if IN_CI:
            pytest.fail(f"must be there in CI: {reason}")
        pytest.skip(reason)

    return give_up


@pytest.fixture(scope="session")
def corpus(unavailable: Callable[[str], NoReturn]) -> Path:
    """Return the folder of real payloads (AFTERSEND_CORPUS, or shared/corpus beside the checkout)."""
    folder = Path(os.environ.get("AFTERSEND_CORPUS") or ROOT.parent / "shared" / "corpus")
    if not folder.is_dir():
        unavailable(f"no payload corpus at {folder}; name its folder in AFTERSEND_CORPUS")
    return folder


@pytest.fixture(autouse=True)
def _logs_as_they_were() -> Iterator[None]:
    """Undo what a test set up for its logs: what other tests log must not depend on which came before them."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Say how many processes share a run with `-n auto`: none where it is about some tests, or somebody looks on."""
    return sharing.of_this_machine() if sharing.is_whole(config) else 0


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> sharing.Sharing:
    """Choose who hands out the tests."""
    return sharing.Sharing(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Sort the tests where they are shared."""
    if hasattr(config, "workerinput"):
        sharing.in_order(items)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Remember how the run ended."""
    session.config.stash[_EXIT_STATUS] = int(exitstatus)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """End the run even where a test left a thread behind: Python would wait for it forever.

    Faust's consumer thread is such a one, when a test fails before it stops its app.
    """
    stuck = [thread for thread in threading.enumerate() if not thread.daemon and thread is not threading.main_thread()]
    if stuck:
        sys.stderr.write(f"left behind by a test, and ended by force: {', '.join(thread.name for thread in stuck)}\n")
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(config.stash.get(_EXIT_STATUS, 0) or 1)
