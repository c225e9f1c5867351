"""Reading the contacts topic once, to its end, and keeping only what a command asks for."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final

import msgspec

from aftersend.config.settings import Settings
from aftersend.engine import changelog
from aftersend.engine.aiokafka.records import FetchedRecord
from aftersend.schemas.contact import Contact
from aftersend.schemas.partitioning import partition_of
from aftersend.services.cluster import partitions_of
from aftersend.services.progress import ShowProgress, no_progress

_decode: Final = msgspec.json.Decoder(Contact).decode

#: Takes what the topic says of an address: the contact, or None where it is gone. Later ones replace earlier ones.
OnContact = Callable[[str, Contact | None], None]


async def read_all(settings: Settings, on_contact: OnContact, show: ShowProgress | None = None) -> int:
    """Read every contact; return how many records that were.

    Args:
        settings: of the installation.
        on_contact: told of every record, in the order of each partition.
        show: opens a progress display; None: nobody watches, so the topic is not measured first.
    """
    partitions = await partitions_of(settings, settings.topics.contacts)

    def take(record: FetchedRecord) -> None:
        on_contact((record.key or b"").decode(), None if record.value is None else _decode(record.value))

    return await _read(settings, range(partitions), take, show)


async def read_wanted(
    settings: Settings, wanted: Collection[str], show: ShowProgress | None = None
) -> dict[str, Contact]:
    """Return the contacts of some addresses, those that nothing is held against left out.

    Only the partitions that they lie in are read, and only their contacts are decoded.

    Args:
        settings: of the installation.
        wanted: the addresses, normalised.
        show: opens a progress display; None: nobody watches, so the topic is not measured first.
    """
    partitions = await partitions_of(settings, settings.topics.contacts)
    found: dict[str, Contact] = {}

    def take(record: FetchedRecord) -> None:
        address = (record.key or b"").decode()
        if address not in wanted:
            return
        if record.value is None:
            found.pop(address, None)
        else:
            found[address] = _decode(record.value)

    await _read(settings, sorted({partition_of(address, partitions) for address in wanted}), take, show)
    return found


async def _read(
    settings: Settings, partitions: Collection[int], take: Callable[[FetchedRecord], None], show: ShowProgress | None
) -> int:
    options, topic = settings.kafka_options(), settings.topics.contacts
    places = [(topic, partition) for partition in partitions]
    if not places:
        return 0
    bounds = await changelog.bounds(options, places) if show else {}
    expected = sum(end - first for first, end in bounds.values())
    done = 0
    with (show or no_progress)("reading contacts", expected) as move:

        def apply(_topic: str, _partition: int, records: list[FetchedRecord]) -> None:
            nonlocal done
            for record in records:
                take(record)
            done += len(records)
            move(done)

        await changelog.read(options, dict.fromkeys(places), apply)
    return done
