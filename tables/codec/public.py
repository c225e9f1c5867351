"""Rows and KPIs as the public JSON of the changelogs, and back.

A changelog record *is* the public message. What only Aftersend needs travels in one header of the same record, which
consumers can ignore: a row as the stores hold it, its last events included, or a delivery's histograms. Restoring reads
the header, which takes two thirds of the time of reading a row from its public JSON.
"""

from __future__ import annotations

from collections.abc import Mapping
from struct import Struct
from typing import Final

import msgspec
from msgspec.structs import astuple

from aftersend.rules.kpi.indicators import KpiTotals, events_by_name
from aftersend.rules.recipient.decisions import Decision
from aftersend.rules.recipient.facts import names_of_facts
from aftersend.rules.recipient.fold import MESSAGE_TYPE_NUMBER
from aftersend.rules.recipient.history import ENTRY_BYTES, NO_ID
from aftersend.rules.recipient.kinds import EXPIRED, KIND_NAME
from aftersend.rules.recipient.statuses import STATUS_NAME, STATUS_TERMINAL
from aftersend.schemas.contact import Contact
from aftersend.schemas.delivery import DeliveryTerms
from aftersend.schemas.kpi import Clock, DeliveryKpis, KpiPartial
from aftersend.schemas.packing import MAX_PARTITION, MAX_SOURCE, pack_history_word, unpack_history_word
from aftersend.schemas.recipient import Cause, PublicFailure, RecipientState, Row
from aftersend.schemas.topics import Topics
from aftersend.schemas.version import SCHEMA_VERSION
from aftersend.tables.codec.keys import SEPARATOR
from aftersend.tables.codec.stored import encode_row

encode_json: Final = msgspec.json.Encoder().encode
#: Of the contacts topic.
decode_contact: Final = msgspec.json.Decoder(Contact).decode
#: Of the status topic.
decode_state: Final = msgspec.json.Decoder(RecipientState).decode
#: Of the KPI topic.
decode_terms: Final = msgspec.json.Decoder(DeliveryTerms).decode
_decode_clock: Final = msgspec.json.Decoder(Clock).decode
_last_entry: Final = Struct("<16sQQ").unpack_from
_MESSAGE_TYPES: Final = tuple(MESSAGE_TYPE_NUMBER)

_SHARED: Final = slice(6, 20)
if Row.__struct_fields__[_SHARED] != RecipientState.__struct_fields__[9:23]:  # pragma: no cover
    raise AssertionError("the shared fields of Row and RecipientState must stand in the same order")


class Codec:
    """Encodes and decodes with the names of one installation.

    Args:
        topics: names of the topics.
        numbers: source numbers by name.
    """

    def __init__(self, topics: Topics, numbers: Mapping[str, int]) -> None:
        self.topics = topics
        self.source_names = {number: name for name, number in numbers.items()} | {0: ""}
        self._source_name = [self.source_names.get(i, "") for i in range(MAX_SOURCE + 1)]
        self._topic = [topics.events, *(topics.raw(name or "unknown") for name in self._source_name[1:])]
        self._facts: dict[int, msgspec.Raw] = {}

    def state(self, delivery_id: str, recipient: str, row: Row) -> bytes:
        """Return a row as the JSON of the status topic."""
        values = astuple(row)
        status, facts, previous, version, source, message_type = values[:6]
        failure, address, cause, history = values[20:]
        digest, word, raw_position = _last_entry(history, len(history) - ENTRY_BYTES)
        # `unpack_history_word` and `unpack_raw_position`, inlined.
        if word >> 6 & 15 == Decision.LATE:
            digest, word, raw_position = _last_not_late(history)
        kind = word >> 10 & 63
        if kind == EXPIRED:
            cause_of_version = Cause("", KIND_NAME[kind])
        else:
            cause_of_version = Cause(
                cause or digest.hex(),
                KIND_NAME[kind],
                self._topic[raw_position >> 14 & MAX_SOURCE],
                raw_position & MAX_PARTITION,
                raw_position >> 20,
            )
        return encode_json(
            RecipientState(  # type: ignore[call-arg]  # the fields that both share, see `_SHARED`
                SCHEMA_VERSION,
                delivery_id,
                recipient,
                STATUS_NAME[status],
                self._facts.get(facts) or self._names(facts),
                STATUS_NAME[previous] if previous else "",
                version,
                self._source_name[source],
                _MESSAGE_TYPES[message_type],
                *values[6:20],
                failure and PublicFailure(*astuple(failure)),
                address,
                cause_of_version,
                STATUS_TERMINAL[status],
            )
        )

    def _names(self, facts: int) -> msgspec.Raw:
        raw = self._facts[facts] = msgspec.Raw(encode_json(names_of_facts(facts)))
        return raw

    def kpis(self, delivery_id: str, partition: int, partial: KpiPartial, totals: KpiTotals) -> tuple[bytes, bytes]:
        """Return a delivery's KPIs as the JSON of the KPI topic, and the value of its header."""
        value = encode_json(
            DeliveryKpis(
                SCHEMA_VERSION,
                delivery_id,
                partition,
                partial.version,
                partial.started_at,
                partial.updated_at,
                totals.kpis,
                totals.statuses,
                events_by_name(partial.events, self.source_names),
                partial.archived,
            )
        )
        return value, encode_row(partial)


def _last_not_late(history: bytes) -> tuple[bytes, int, int]:
    """Return a history's last entry that is not of a late event: the one that made the row's version."""
    at = len(history) - ENTRY_BYTES
    while at >= 0:
        digest, word, raw_position = _last_entry(history, at)
        if unpack_history_word(word).decision != Decision.LATE:
            return digest, word, raw_position
        at -= ENTRY_BYTES
    return NO_ID, pack_history_word(0.0, EXPIRED, Decision.APPLIED), 0


def encode_clock(partition: int, tick: float) -> bytes:
    """Return the KPI topic's clock record."""
    return encode_json(Clock(SCHEMA_VERSION, partition, tick))


def decode_clock(value: bytes) -> float:
    """Return the tick of the KPI topic's clock record."""
    return _decode_clock(value).tick


def split_row_key(key: bytes, value: bytes) -> tuple[str, str]:
    """Return delivery and recipient of a row on the status topic.

    Raises:
        msgspec.ValidationError: if the key is ambiguous, and the value is no row.
    """
    delivery_id, _, recipient = key.decode().rpartition(SEPARATOR)
    if SEPARATOR in delivery_id:  # or part of the recipient: only the value tells them apart
        state = decode_state(value)
        return state.delivery_id, state.recipient
    return delivery_id, recipient
