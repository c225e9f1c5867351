"""Damaged records of changelogs: an error only as long as no later record of the same key has replaced them."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from aftersend.engine import changelog
from aftersend.engine.aiokafka.records import FetchedRecord
from aftersend.engine.types import Partition
from aftersend.errors import StateRefusedError

#: Where operators read on.
PAGE: Final = "docs/guide/operate.md#damaged-changelog-records"


class DamagedRecord(NamedTuple):
    """A changelog's record that can't be read."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    #: Why.
    error: str


class RestoreError(StateRefusedError):
    """A changelog holds an unreadable record; the message has its position."""


def refuse(damaged: list[DamagedRecord]) -> None:
    """Raise RestoreError for the first of some damaged records, if there are any."""
    if not damaged:
        return
    first = damaged[0]
    name = first.topic.rpartition(".")[2]
    others = f" ({len(damaged)} such records)" if len(damaged) > 1 else ""
    where = f"{first.topic}, partition {first.partition}, offset {first.offset}"
    raise RestoreError(
        f"{where}: the record of the key {first.key!r} is not readable by this version{others}: {first.error}. "
        "Nothing is computed from an incomplete state. Look at it with "
        f"`aftersend changelog show {name} {first.partition} {first.offset}`; {PAGE} says how to go on"
    )


class SupersededDamage:
    """Passes records on to a function, without those that it can't read and that later ones replace."""

    def __init__(self, apply: changelog.Apply) -> None:
        self._apply = apply
        self._open: dict[tuple[str, int, bytes | None], DamagedRecord] = {}

    def apply(self, topic: str, partition: int, records: list[FetchedRecord]) -> None:
        """Pass records on, one by one if one of them is damaged."""
        if not self._open:
            with contextlib.suppress(Exception):  # found below, one by one
                self._apply(topic, partition, records)
                return
        for record in records:
            place = topic, partition, record.key
            try:
                self._apply(topic, partition, [record])
            except Exception as error:  # noqa: BLE001 - whatever it is, the record can't be read
                said = f"{type(error).__name__}: {error}"
                self._open[place] = DamagedRecord(topic, partition, record.offset, record.key, said)
            else:
                self._open.pop(place, None)

    def damaged(self) -> list[DamagedRecord]:
        """Return the damaged records that no later one of their key has replaced."""
        return list(self._open.values())


async def read_state(
    options: Mapping[str, Any], starts: Mapping[Partition, int | None], apply: changelog.Apply
) -> dict[Partition, int]:
    """Read partitions of changelogs as `aftersend.engine.changelog.read` does.

    Args:
        options: of the connection, as aiokafka takes them.
        starts: by (topic, partition), the first offset to read; None: the beginning.
        apply: called with records of one partition, in order; perhaps twice with the same ones, if one is damaged. Of
            a key, the last record counts.

    Raises:
        RestoreError: if the last record of a key can't be read.
    """
    reading = SupersededDamage(apply)
    ends = await changelog.read(options, starts, reading.apply)
    refuse(reading.damaged())
    return ends
