"""Writes the lock file of Kafka's jars, for a new version of Kafka."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from jgo.maven import Artifact, Dependency, MavenContext

# Kafka's distribution uses log4j; slf4j-simple is enough to write the log to one file.
ROOTS = (("org.apache.kafka", "kafka_2.13", "4.3.1"), ("org.slf4j", "slf4j-simple", "1.7.36"))

_HEADER = """\
# Kafka and all it runs on: group:artifact:version and the SHA-256 of the jar.
# Written by `python -m aftersend.sandbox.embedded lock-jars`; the versions asked for are in
# aftersend/sandbox/embedded/lock.py.
"""


def lock_text(folder: Path) -> str:
    """Resolve the roots and their dependencies, download all into `folder`, and return the text of the lock file.

    Raises:
        requests.RequestException: the repository could not be reached.
        RuntimeError: the repository lacks an artifact.
    """
    context = MavenContext(repo_cache=folder, timeout=30)
    roots = [
        Dependency(context.project(group, name).at_version(version).artifact(), scope="compile")
        for group, name, version in ROOTS
    ]
    inputs, needed = context.resolver.resolve(roots)
    with ThreadPoolExecutor(8) as pool:
        lines = pool.map(_line, [dependency.artifact for dependency in inputs + needed])
    return _HEADER + "".join(sorted(lines))


def _line(artifact: Artifact) -> str:
    digest = hashlib.sha256(artifact.resolve().read_bytes()).hexdigest()
    return f"{artifact.groupId}:{artifact.artifactId}:{artifact.version} {digest}\n"
