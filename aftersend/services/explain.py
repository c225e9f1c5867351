"""A row explained, read from Kafka, for `aftersend explain` and for the query API."""

from __future__ import annotations

from typing import Final

import msgspec

from aftersend.config.installation import source_numbers
from aftersend.config.settings import Settings
from aftersend.rules.explain import explanation as explaining
from aftersend.schemas.recipient import Row
from aftersend.services.answers import Explanation
from aftersend.services.explanations import Names, Wish, shown
from aftersend.services.installation import codec, fold_timing
from aftersend.tables.explain import Place, RowLocation, StoredRow, explain_row, read_raw, read_row

_PLAIN: Final = Wish()


class Explained(msgspec.Struct):
    """A row and how it came to be."""

    where: RowLocation
    known: StoredRow
    explanation: explaining.RowExplanation
    names: Names
    #: The row, as of the time that was asked for; None: there was none.
    state: explaining.RowState | None
    wish: Wish
    #: Values of the raw records, if they were asked for.
    raw: dict[Place, bytes] = {}

    @property
    def row(self) -> Row | None:
        """The row as it is stored, now."""
        return self.known.row

    def as_json(self) -> Explanation:
        """Return what scripts read."""
        where = self.where
        return shown(where.delivery_id, where.recipient, self.state, self.explanation, self.names, self.wish, self.raw)


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


async def explained(where: RowLocation, known: StoredRow | None = None, wish: Wish = _PLAIN) -> Explained:
    """Read all that there is of a row, and explain it.

    Args:
        where: the row.
        known: what is stored of it, if the caller knows; None: it is read from the changelogs.
        wish: what is to be shown.

    Raises:
        KafkaError: if Kafka can't be read.
    """
    known = await read_row(where) if known is None else known
    found, state = await explain_row(where, known, wish.as_of)
    topics = where.codec.topics
    names = Names(where.codec.source_names, topics.raw, topics.events, where.partition)
    result = Explained(where, known, found, names, state, wish)
    if wish.raw:
        places = (names.raw(step) for step in found.steps)
        result.raw = await read_raw(where.options, [place for place in places if place is not None])
    return result
