"""Reads a row and its events from Kafka and explains it, for `aftersend explain` and the query API."""

from __future__ import annotations

from typing import Final

import msgspec

from aftersend.config.installation import source_numbers
from aftersend.config.settings import Settings
from aftersend.rules.explain import explanation as explaining
from aftersend.schemas.partitioning import partition_of
from aftersend.schemas.raw import RecordPosition
from aftersend.services.answers import ApiExplanation
from aftersend.services.explain.answer import ExplainOptions, StepResolver, to_answer
from aftersend.services.installation import codec, fold_timing
from aftersend.services.kafka.cluster import partitions_of
from aftersend.tables.explain import RowLocation, StoredRow, explain_row, read_raw, read_row

_DEFAULT: Final = ExplainOptions()


class ExplainedRow(msgspec.Struct):
    """A row and its explanation."""

    where: RowLocation
    #: The row as it is stored now.
    known: StoredRow
    explanation: explaining.RowExplanation
    names: StepResolver
    #: State of the row at the requested time; None: there was no row.
    state: explaining.RowState | None
    options: ExplainOptions
    #: Values of the raw records by position; empty unless requested.
    raw: dict[RecordPosition, bytes] = {}

    def as_json(self) -> ApiExplanation:
        """Return the JSON object of `aftersend explain --json`, which is the API's answer."""
        where = self.where
        return to_answer(
            where.delivery_id, where.recipient, self.state, self.explanation, self.names, self.options, self.raw
        )


def locate_row(settings: Settings, partition: int, delivery_id: str, recipient: str) -> RowLocation:
    """Return the location of a row.

    Args:
        settings: of the installation.
        partition: of the recipient.
        delivery_id: of the row.
        recipient: normalised address.
    """
    return RowLocation(
        settings.kafka_options(),
        codec(settings),
        fold_timing(settings),
        source_numbers(),
        partition,
        delivery_id,
        recipient,
    )


async def explain_address(
    settings: Settings, delivery_id: str, recipient: str, options: ExplainOptions = _DEFAULT
) -> ExplainedRow:
    """Return the explanation of a recipient in a delivery.

    Args:
        settings: of the installation.
        delivery_id: of the delivery.
        recipient: normalised address.
        options: what to include.

    Raises:
        KafkaUnusableError: if Kafka does not answer, or a topic is missing.
    """
    topics = settings.topics
    partition = partition_of(recipient, await partitions_of(settings, topics.status, topics.kpis, topics.events))
    return await read_explanation(locate_row(settings, partition, delivery_id, recipient), options=options)


async def read_explanation(
    where: RowLocation, known: StoredRow | None = None, options: ExplainOptions = _DEFAULT
) -> ExplainedRow:
    """Return the explanation of a row.

    Args:
        where: location of the row.
        known: the stored row, if the caller has it; None: it is read from the changelogs.
        options: what to include.

    Raises:
        KafkaError: if Kafka does not answer.
    """
    known = await read_row(where) if known is None else known
    found, state = await explain_row(where, known, options.as_of)
    topics = where.codec.topics
    names = StepResolver(where.codec.source_names, topics.raw, topics.events, where.partition)
    result = ExplainedRow(where, known, found, names, state, options)
    if options.raw:
        positions = (names.raw(step) for step in found.steps)
        result.raw = await read_raw(where.options, [position for position in positions if position is not None])
    return result
