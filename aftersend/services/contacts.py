"""Reads contacts from the contacts topic, once and to its end."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final

import msgspec

from aftersend.config.settings import Settings
from aftersend.engine import changelog
from aftersend.engine.aiokafka.records import FetchedRecord
from aftersend.schemas.contact import Contact
from aftersend.schemas.partitioning import partition_of
from aftersend.services.kafka.cluster import partitions_of
from aftersend.services.progress import ShowProgress, no_progress
from aftersend.tables.damage import read_state

_decode: Final = msgspec.json.Decoder(Contact).decode

#: Called with an address and its contact, None if it was deleted. A later call for an address replaces an earlier one.
OnContact = Callable[[str, Contact | None], None]


async def read_all(settings: Settings, on_contact: OnContact, show: ShowProgress | None = None) -> int:
    """Read every contact; return the number of records.

    Args:
        settings: of the installation.
        on_contact: called for every record, in the order of each partition.
        show: opens a progress display; None: no display, and no measuring of the topic.
    """
    partitions = await partitions_of(settings, settings.topics.contacts)

    def apply_record(record: FetchedRecord) -> None:
        on_contact((record.key or b"").decode(), None if record.value is None else _decode(record.value))

    return await _read(settings, range(partitions), apply_record, show)


async def read_wanted(
    settings: Settings, wanted: Collection[str], show: ShowProgress | None = None
) -> dict[str, Contact]:
    """Return the contacts of some addresses; addresses without a contact are left out.

    Only the addresses' partitions are read, and only their contacts are decoded.

    Args:
        settings: of the installation.
        wanted: normalised addresses.
        show: opens a progress display; None: no display, and no measuring of the topic.
    """
    partitions = await partitions_of(settings, settings.topics.contacts)
    found: dict[str, Contact] = {}

    def apply_record(record: FetchedRecord) -> None:
        address = (record.key or b"").decode()
        if address not in wanted:
            return
        if record.value is None:
            found.pop(address, None)
        else:
            found[address] = _decode(record.value)

    await _read(settings, sorted({partition_of(address, partitions) for address in wanted}), apply_record, show)
    return found


async def _read(
    settings: Settings,
    partitions: Collection[int],
    apply_record: Callable[[FetchedRecord], None],
    show: ShowProgress | None,
) -> int:
    options, topic = settings.kafka_options(), settings.topics.contacts
    keys = [(topic, partition) for partition in partitions]
    if not keys:
        return 0
    bounds = await changelog.bounds(options, keys) if show else {}
    expected = sum(end - first for first, end in bounds.values())
    done = 0
    with (show or no_progress)("reading contacts", expected) as set_progress:

        def apply(_topic: str, _partition: int, records: list[FetchedRecord]) -> None:
            nonlocal done
            for record in records:
                apply_record(record)
            done += len(records)
            set_progress(done)

        await read_state(options, dict.fromkeys(keys), apply)
    return done
