"""All patches of aiokafka, applied together by one call at the start of a process.

`apply` comes before the first client: a client that exists already keeps the unpatched classes. The engine makes no
client without it.
"""

from __future__ import annotations

from aftersend.engine.aiokafka import connections, fetch_limits, records


def apply() -> None:
    """Patch aiokafka in this process; further calls do nothing."""
    connections.patch()
    records.patch()
    fetch_limits.patch()


def require() -> None:
    """Check that the patches are applied, before a client is made.

    Raises:
        RuntimeError: if the process has not called `apply`: a bug in its start.
    """
    if not connections.is_patched():
        raise RuntimeError("aftersend.engine.aiokafka.patches.apply() comes before the first Kafka client")
