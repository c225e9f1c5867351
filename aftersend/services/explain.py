"""A row explained, read from Kafka, for `aftersend explain` and for the query API."""

from __future__ import annotations

from typing import Final

import msgspec

from aftersend.config.installation import source_numbers
from aftersend.config.settings import Settings
from aftersend.rules.explain import explanation as explaining
from aftersend.schemas.raw import RecordPosition
from aftersend.schemas.recipient import Row
from aftersend.services.answers import ApiExplanation
from aftersend.services.explanations import ExplainOptions, StepResolver, shown
from aftersend.services.installation import codec, fold_timing
from aftersend.tables.explain import RowLocation, StoredRow, explain_row, read_raw, read_row

_PLAIN: Final = ExplainOptions()


class ExplainedRow(msgspec.Struct):
    """A row and how it came to be."""

    where: RowLocation
    known: StoredRow
    explanation: explaining.RowExplanation
    names: StepResolver
    #: The row, as of the time that was asked for; None: there was none.
    state: explaining.RowState | None
    options: ExplainOptions
    #: Values of the raw records, if they were asked for.
    raw: dict[RecordPosition, bytes] = {}

    @property
    def row(self) -> Row | None:
        """The row as it is stored, now."""
        return self.known.row

    def as_json(self) -> ApiExplanation:
        """Return what scripts read."""
        where = self.where
        return shown(
            where.delivery_id, where.recipient, self.state, self.explanation, self.names, self.options, self.raw
        )


def where_of(settings: Settings, partition: int, delivery_id: str, recipient: str) -> RowLocation:
    """Return how to read of a row.

    Args:
        settings: of the installation.
        partition: in which the recipient lies.
        delivery_id: of the row.
        recipient: the address, normalised.
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


async def read_explanation(
    where: RowLocation, known: StoredRow | None = None, options: ExplainOptions = _PLAIN
) -> ExplainedRow:
    """Read all that there is of a row, and explain it.

    Args:
        where: the row.
        known: what is stored of it, if the caller knows; None: it is read from the changelogs.
        options: what is to be shown.

    Raises:
        KafkaError: if Kafka can't be read.
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
