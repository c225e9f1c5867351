"""Reading the contacts topic once, to its end, and keeping only what a command asks for."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection
from typing import Final

import msgspec

from cli.kafka import partitions_of
from cli.progress import progress
from engine import changelog
from engine.lean import LeanRecord
from engine.settings import Settings
from schemas.state import Contact

_decode: Final = msgspec.json.Decoder(Contact).decode

#: Takes what the topic says of an address: the contact, or None where it is gone. Later ones replace earlier ones.
OnContact = Callable[[str, Contact | None], None]


async def read_all(settings: Settings, on_contact: OnContact, *, shown: bool) -> int:
    """Read every contact; return how many records that were.

    Args:
        settings: of the installation.
        on_contact: told of every record, in the order of each partition.
        shown: whether there is somebody to see a bar.
    """
    partitions = await partitions_of(settings, settings.topics.contacts)

    def take(record: LeanRecord) -> None:
        on_contact((record.key or b"").decode(), None if record.value is None else _decode(record.value))

    return await _read(settings, range(partitions), take, shown=shown)


async def read_wanted(settings: Settings, wanted: Collection[str], *, shown: bool) -> dict[str, Contact]:
    """Return the contacts of some addresses, those that nothing is held against left out.

    Only the partitions that they lie in are read, and only their contacts are decoded.

    Args:
        settings: of the installation.
        wanted: the addresses, normalised.
        shown: whether there is somebody to see a bar.
    """
    from agents.normalise import partition_of  # noqa: PLC0415 - brings Faust along, which takes half a second

    partitions = await partitions_of(settings, settings.topics.contacts)
    found: dict[str, Contact] = {}

    def take(record: LeanRecord) -> None:
        address = (record.key or b"").decode()
        if address not in wanted:
            return
        if record.value is None:
            found.pop(address, None)
        else:
            found[address] = _decode(record.value)

    await _read(settings, sorted({partition_of(address, partitions) for address in wanted}), take, shown=shown)
    return found


async def _read(
    settings: Settings, partitions: Collection[int], take: Callable[[LeanRecord], None], *, shown: bool
) -> int:
    options, topic = settings.kafka_options(), settings.topics.contacts
    places = [(topic, partition) for partition in partitions]
    if not places:
        return 0
    bounds = await changelog.bounds(options, places) if shown else {}
    expected = sum(end - first for first, end in bounds.values())
    done = 0
    with progress("reading contacts", expected, shown=shown and sys.stderr.isatty()) as move:

        def apply(_topic: str, _partition: int, records: list[LeanRecord]) -> None:
            nonlocal done
            for record in records:
                take(record)
            done += len(records)
            move(done)

        await changelog.read(options, dict.fromkeys(places), apply)
    return done
