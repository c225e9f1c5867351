"""Skipping a damaged record of a changelog: it is replaced, and what is lost with it is written down."""

from __future__ import annotations

import contextlib
import getpass
import time
from collections.abc import Collection
from typing import Final

import msgspec
from aiokafka.errors import KafkaError

from aftersend.config.settings import Settings
from aftersend.engine import changelog
from aftersend.engine.aiokafka.records import FetchedRecord
from aftersend.engine.transaction import TransactionalWriter, transactional_id
from aftersend.errors import FencedError, KafkaUnusableError, TransactionFailedError, UsageError
from aftersend.rules.kpi.indicators import totals_of
from aftersend.rules.recipient.history import unpack_history
from aftersend.schemas.control import SkippedRecord
from aftersend.schemas.kpi import DeliveryKpis, KpiPartial
from aftersend.schemas.recipient import Row
from aftersend.schemas.version import SCHEMA_VERSION
from aftersend.services.changelog.record import ChangelogRecord, text
from aftersend.services.installation import codec
from aftersend.tables.batch.delivery import NO_BUCKET, bucket_of
from aftersend.tables.codec.keys import HEADER, SEPARATOR
from aftersend.tables.codec.public import split_row_key
from aftersend.tables.codec.stored import decode_row, row_from_headers
from aftersend.tables.restore import unreadable

#: Name of the agent whose state the changelogs hold.
_AGENT: Final = "track"
_decode_public: Final = msgspec.json.Decoder(DeliveryKpis).decode


def require_skippable(record: ChangelogRecord) -> None:
    """Make sure that a record is damaged and in the way.

    Raises:
        UsageError: if it is not.
    """
    if not record.error:
        raise UsageError(f"the record at offset {record.offset} can be read: only damaged records are skipped")
    if record.later:
        raise UsageError(
            f"the record at offset {record.offset} is in nobody's way: the one at {record.later[-1]} has replaced it"
        )


async def skip(settings: Settings, record: ChangelogRecord, why: str) -> SkippedRecord:
    """Replace a damaged record, and write what was lost to the control topic, in one transaction.

    The partition's owner, if there is one, is fenced by it and restores the partition again.

    Raises:
        UsageError: if the record is not damaged, or not in the way.
        KafkaUnusableError: if Kafka does not commit it.
    """
    require_skippable(record)
    topics = settings.topics
    note = SkippedRecord(
        record.topic,
        record.partition,
        record.offset,
        text(record.key) or "",
        record.error,
        record.lost,
        why,
        getpass.getuser(),
        time.time(),
    )
    value: bytes | None = None
    headers = [(f"{HEADER}.skipped", msgspec.json.encode(note))]
    if record.kind == "kpis":
        value, header = await _kpis_from_rows(settings, record)
        headers.append((HEADER, header))
    writer = TransactionalWriter(
        settings.kafka_options(),
        transactional_id(settings.app_id, _AGENT, topics.events, record.partition),
        settings.app_id,
        settings.transaction_timeout,
    )
    try:
        await writer.start()
        output = writer.output()
        now = int(note.at * 1000)
        output.channel(record.topic, record.partition).append(record.key, value, now, headers)
        output.channel(topics.control, 0).append(None, msgspec.json.encode(note), now)
        await writer.commit(output)
    except (KafkaError, OSError, FencedError, TransactionFailedError) as error:
        raise KafkaUnusableError(f"Kafka has not committed it, nothing was changed: {error!r}") from error
    finally:
        await writer.close()
    return note


async def _kpis_from_rows(settings: Settings, record: ChangelogRecord) -> tuple[bytes, bytes]:
    """Return value and header of a delivery's KPIs in a partition, as far as its rows have them."""
    known = codec(settings)
    delivery_id = (record.key or b"").decode(errors="replace").rpartition(SEPARATOR)[0]
    rows: dict[str, Row] = {}

    def apply(topic: str, _partition: int, records: list[FetchedRecord]) -> None:
        for one in records:
            if not (one.key or b"").startswith(f"{delivery_id}{SEPARATOR}".encode()):
                continue
            key = (one.key or b"").decode(errors="replace")
            if one.value is None:
                rows.pop(key, None)
            elif not unreadable(one, topic, known) and split_row_key(one.key or b"", one.value)[0] == delivery_id:
                rows[key] = decode_row(row_from_headers(one.headers))

    await changelog.read(settings.kafka_options(), {(settings.topics.status, record.partition): None}, apply)
    partial = _partial(rows.values(), record)
    return known.kpis(delivery_id, record.partition, partial, totals_of(partial))


def _partial(rows: Collection[Row], record: ChangelogRecord) -> KpiPartial:
    """Return KPIs as rows have them; what only the damaged record's public value says is taken from it, if it can."""
    public = DeliveryKpis(SCHEMA_VERSION, "", 0, 0, record.timestamp, record.timestamp, {}, {}, {})
    with contextlib.suppress(msgspec.MsgspecError, UnicodeError):
        public = _decode_public(record.value or b"")
    buckets: dict[int, int] = {}
    started_at, updated_at = public.started_at, public.updated_at
    for row in rows:
        bucket = bucket_of(row)
        if bucket != NO_BUCKET:
            buckets[bucket] = buckets.get(bucket, 0) + 1
        arrivals = [entry.received_at for entry in unpack_history(row.history)]
        started_at = min([started_at, row.updated_at, *arrivals])
        updated_at = max(updated_at, row.updated_at)
    return KpiPartial(buckets, {}, started_at, updated_at, public.version + 1, public.archived)
