"""A record of a changelog as text."""

from __future__ import annotations

from collections.abc import Iterator

from aftersend.cli.render.dead_letters import content
from aftersend.cli.render.output import local
from aftersend.services.changelog.record import ChangelogRecord, text


def record_details(record: ChangelogRecord) -> Iterator[str]:
    """Yield the lines of a record: place, error, consequences, key, headers and value."""
    later = f"superseded by offset {record.later[-1]}: it is in nobody's way" if record.later else "none"
    for name, value in (
        ("record", f"{record.topic}, partition {record.partition}, offset {record.offset}"),
        ("written", local(record.timestamp) or "at an unknown time"),
        ("readable", f"no: {record.error}" if record.error else "yes"),
        ("lost with it", record.lost),
        ("later records of its key", later),
        ("earlier records of its key", ", ".join(map(str, record.earlier)) or "none"),
        ("key", text(record.key) or "(none)"),
        *((f"header {name}", repr(value)[2:-1]) for name, value in record.headers),
    ):
        yield f"{name:<28}{value}"
    yield ""
    yield from content(record.value)
    if record.former is not None:
        yield ""
        yield f"The record of the same key before it, at offset {record.earlier[-1]}:"
        yield from content(record.former)
