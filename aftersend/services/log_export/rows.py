"""Reads the rows of one delivery from the status topic."""

from __future__ import annotations

from collections.abc import Callable

from aftersend.config.settings import Settings
from aftersend.engine import changelog
from aftersend.engine.aiokafka.records import FetchedRecord
from aftersend.schemas.recipient import Row
from aftersend.services.kafka.cluster import partitions_of
from aftersend.services.progress import ShowProgress, no_progress
from aftersend.tables.codec.keys import SEPARATOR
from aftersend.tables.codec.stored import decode_row, row_from_headers
from aftersend.tables.damage import read_state

#: Called with a recipient and its row.
OnRow = Callable[[str, Row], None]


async def read_rows(settings: Settings, delivery_id: str, on_row: OnRow, show: ShowProgress | None = None) -> int:
    """Read the current rows of a delivery, committed records only; return their number.

    The last record of a key counts, and only the end of a partition shows which one that is: Kafka never compacts a
    topic completely. So partitions are read one after the other, and memory holds one partition's rows of the delivery,
    as bytes. Rows are decoded in the order in which their recipients first occurred.

    Args:
        settings: of the installation.
        delivery_id: of the delivery.
        on_row: called for every row.
        show: opens a progress display; None: no display, and no measuring of the topic.

    Raises:
        KafkaUnusableError: if Kafka does not answer, or the topic is missing.
    """
    topic, options = settings.topics.status, settings.kafka_options()
    partitions = [(topic, partition) for partition in range(await partitions_of(settings, topic))]
    expected = sum(end - first for first, end in (await changelog.bounds(options, partitions)).values()) if show else 0
    rows = _DeliveryRows(delivery_id)
    number = 0
    with (show or no_progress)(f"reading {topic}", expected) as set_progress:

        def apply(_topic: str, _partition: int, records: list[FetchedRecord]) -> None:
            rows.apply(records)
            set_progress(rows.records)

        for partition in partitions:
            await read_state(options, {partition: None}, apply)
            number += rows.take(on_row)
    return number


class _DeliveryRows:
    """Rows of one delivery in one partition, as bytes by key."""

    def __init__(self, delivery_id: str) -> None:
        self._prefix = f"{delivery_id}{SEPARATOR}".encode()
        self._rows: dict[bytes, bytes] = {}
        #: Records read so far, of all partitions.
        self.records = 0

    def apply(self, records: list[FetchedRecord]) -> None:
        """Add records; a later one of a key replaces an earlier one."""
        prefix, length = self._prefix, len(self._prefix)
        for record in records:
            key = record.key or b""
            if key.startswith(prefix) and len(key) > length:
                if record.value is None:
                    self._rows.pop(key, None)
                else:
                    self._rows[key] = row_from_headers(record.headers)
        self.records += len(records)

    def take(self, on_row: OnRow) -> int:
        """Pass all rows on and remove them; return their number."""
        rows, self._rows = self._rows, {}
        for key, packed in rows.items():
            on_row(key[len(self._prefix) :].decode(), decode_row(packed))
        return len(rows)
