"""Parses and folds raw records in one process, for `tests.compare_outputs`; writes the last records as JSON.

Runs in the checkout that is compared, with that checkout's code, whose modules may have older names.
"""

from __future__ import annotations

import sys
from collections import Counter
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec

#: Batches end before each of so many records.
_BATCH = 300
_TOPICS = ("status", "contacts", "kpis")


def _module(name: str) -> Any:
    try:
        return import_module(f"aftersend.{name}")
    except ModuleNotFoundError:
        return import_module(name)


def main() -> None:
    """Fold the records of a file."""
    harness: Any = import_module("tests.unit.folding_in_memory")
    registry, base = _module("sources.registry").REGISTRY, _module("sources.base")
    parsers = {name: source.parser(base.SourceOptions()) for name, source in registry.items()}
    partition = harness.Partition()
    offsets: Counter[str] = Counter()
    waiting: list[Any] = []
    for text in Path(sys.argv[1]).read_bytes().splitlines():
        raw = msgspec.json.decode(text)
        source, at = raw["source"], raw["timestamp_ms"] / 1000
        value = msgspec.convert(raw["value"], bytes)
        events: list[Any] = []
        try:
            if source == "clock":
                events.append(harness.tick(at))
            else:
                events.extend(parsers[source](value))
        except (base.SourceError, UnicodeError):  # what came before counts
            pass
        for event in events:
            event.raw_partition, event.raw_offset = 0, offsets[source]
        offsets[source] += 1
        waiting += partition.write(events, at)
        if len(waiting) >= _BATCH:
            partition.take(waiting)
            waiting = []
    partition.take(waiting)
    topics = partition.settings.topics
    records = [
        (name, key, record.value, list(record.headers))
        for name in _TOPICS
        for key, record in sorted(partition.shown[getattr(topics, name)].items())
    ]
    sys.stdout.buffer.write(msgspec.json.encode(records))


if __name__ == "__main__":
    main()
