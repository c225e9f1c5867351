"""An explanation as the API and `aftersend explain --json` show it."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from msgspec import UNSET

from console.schemas import Explanation, RawRecord, RecordPlace, Step
from rules import explain
from rules.lifecycle import DECISION_NAMES, KIND_NAME, STATUS_NAME, STATUS_TERMINAL, names_of_facts
from schemas.state import Row
from schemas.times import iso

#: Topic, partition, offset.
Place = tuple[str, int, int]
#: Those details of an event that are shown as they are.
_DETAILS: Final = (
    "reason",
    "code",
    "enhanced_code",
    "diagnostic",
    "detail",
    "provider_id",
    "url",
    "user_agent",
    "ip",
)


class Names:
    """What numbers are called in one installation.

    Args:
        sources: names of the sources, by number.
        raw_topic: returns the raw topic of a source.
        events_topic: the topic of canonical events.
        partition: of the events topic, in which the row lies.
    """

    def __init__(
        self, sources: Mapping[int, str], raw_topic: Callable[[str], str], events_topic: str, partition: int
    ) -> None:
        """Keep the names."""
        self._sources = sources
        self._raw_topic = raw_topic
        self.events_topic = events_topic
        self.partition = partition

    def source(self, step: explain.Step) -> str:
        """Return the name of a step's source; "" for an expiry."""
        if step.told is not None:
            return step.told.event.source
        return self._sources.get(step.place[0], str(step.place[0])) if step.place is not None else ""

    def raw(self, step: explain.Step) -> Place | None:
        """Return where a step's raw record lies, None if there is none or nobody knows."""
        if step.place is None:
            event = step.told.event if step.told is not None else None
            if event is None or event.raw_offset < 0:
                return None
            return self._raw_topic(event.source), event.raw_partition, event.raw_offset
        source, partition, offset = step.place
        name = self._sources.get(source)
        return (self._raw_topic(name) if source and name else self.events_topic), partition, offset


def shown(
    delivery_id: str,
    recipient: str,
    row: Row | None,
    explanation: explain.Explanation,
    names: Names,
    raw: Mapping[Place, bytes] | None = None,
) -> Explanation:
    """Return an explanation for others to read.

    Args:
        delivery_id: of the row.
        recipient: of the row.
        row: as it is stored; None: there is none.
        explanation: of the row.
        names: of the installation.
        raw: the values of raw records, if they are to be shown.
    """
    return Explanation(
        delivery_id=delivery_id,
        recipient=recipient,
        status=STATUS_NAME[row.status] if row is not None else None,
        final=row is not None and STATUS_TERMINAL[row.status],
        facts=names_of_facts(row.facts) if row is not None else [],
        version=row.version if row is not None else 0,
        steps=[_step(number, step, names, raw or {}) for number, step in enumerate(explanation.steps, 1)],
        missing=explanation.missing,
        notes=notes(row, explanation),
        disagreements=explanation.disagreements,
    )


def notes(row: Row | None, explanation: explain.Explanation) -> list[str]:
    """Return in words what is not known of a row, and why."""
    found = []
    if row is None and explanation.steps:
        found.append("there is no row: its events were not folded yet, or the row was forgotten after its retention")
    if explanation.missing:
        found.append(
            f"{explanation.missing} earlier changes are not known any more: the row remembers its last 33 events, and "
            "retention has removed older ones from the events topic"
        )
    unknown = sum(step.decision is None and not step.waiting for step in explanation.steps)
    if unknown:
        found.append(f"of {unknown} earlier events it is not known any more what they did")
    waiting = sum(step.waiting for step in explanation.steps)
    if waiting and row is not None:
        found.append(f"{waiting} events are on the events topic but not in the row yet")
    return found


def _names(statuses: Sequence[int | None]) -> list[str | None]:
    return [STATUS_NAME[status] if status is not None else None for status in statuses]


def _step(number: int, step: explain.Step, names: Names, raw: Mapping[Place, bytes]) -> Step:
    before, after = _names((step.before, step.after))
    result = Step(
        number=number,
        kind=KIND_NAME[step.kind],
        decision=DECISION_NAMES[step.decision] if step.decision is not None else "",
        rule=step.rule,
        reference=step.reference,
        before=before,
        after=after,
        new_facts=names_of_facts(step.new_facts) if step.new_facts is not None else None,
        lost_facts=names_of_facts(step.lost_facts),
        arrived_at=iso(step.received_at),
        repeats=step.repeats,
        waiting=step.waiting,
        source=names.source(step),
        event_id=step.digest.hex(),
    )
    place = names.raw(step)
    if place is not None:
        result.raw = RecordPlace(topic=place[0], partition=place[1], offset=place[2])
        if place in raw:
            result.raw_record = _raw_record(raw[place])
    if step.told is not None:
        event = step.told.event
        result.event_id = event.event_id
        result.occurred_at = iso(event.occurred_at)
        result.event = RecordPlace(topic=names.events_topic, partition=names.partition, offset=step.told.offset)
        for name in _DETAILS:
            setattr(result, name, getattr(event, name))
    return result


def _raw_record(value: bytes) -> RawRecord:
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return RawRecord(base64=base64.b64encode(value).decode(), text=UNSET)
    return RawRecord(base64=base64.b64encode(value).decode(), text=text)
