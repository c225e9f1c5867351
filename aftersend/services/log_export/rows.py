"""The rows of one delivery, from the status topic."""

from __future__ import annotations

from collections.abc import Callable

from aftersend.config.settings import Settings
from aftersend.engine import changelog
from aftersend.engine.aiokafka.records import FetchedRecord
from aftersend.schemas.recipient import Row
from aftersend.services.cluster import partitions_of
from aftersend.services.progress import ShowProgress, no_progress
from aftersend.tables.codec.keys import SEPARATOR
from aftersend.tables.codec.stored import decode_row, row_from_headers

#: Takes a recipient and its row.
OnRow = Callable[[str, Row], None]


async def read_rows(settings: Settings, delivery_id: str, on_row: OnRow, show: ShowProgress | None = None) -> int:
    """Read the rows of a delivery as they stand now, committed records only; return how many there are.

    Partition after partition, since Kafka has compacted a topic never quite: the last record of a key counts, and which
    that is only the partition's end tells. So no more is in memory than one partition's rows of the one delivery, as
    bytes; each is decoded when it is handed on, in the order in which the recipients first came.

    Args:
        settings: of the installation.
        delivery_id: the only one of interest.
        on_row: told of every row of a recipient.
        show: opens a progress display; None: nobody watches, so the topic is not measured first.

    Raises:
        KafkaUnusableError: if Kafka can't be reached, or the topic is missing.
    """
    topic, options = settings.topics.status, settings.kafka_options()
    places = [(topic, partition) for partition in range(await partitions_of(settings, topic))]
    expected = sum(end - first for first, end in (await changelog.bounds(options, places)).values()) if show else 0
    prefix = f"{delivery_id}{SEPARATOR}".encode()
    length, done, rows = len(prefix), 0, 0
    live: dict[bytes, bytes] = {}

    with (show or no_progress)(f"reading {topic}", expected) as move:

        def apply(_topic: str, _partition: int, records: list[FetchedRecord]) -> None:
            nonlocal done
            for record in records:
                key = record.key or b""
                if key.startswith(prefix) and len(key) > length:
                    if record.value is None:
                        live.pop(key, None)
                    else:
                        live[key] = row_from_headers(record.headers)
            done += len(records)
            move(done)

        for place in places:
            await changelog.read(options, {place: None}, apply)
            rows += len(live)
            for key, packed in live.items():
                on_row(key[length:].decode(), decode_row(packed))
            live.clear()
    return rows
