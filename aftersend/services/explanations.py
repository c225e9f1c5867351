"""An explanation as the API and `aftersend explain --json` show it."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

import msgspec
from msgspec import UNSET

from aftersend.rules.explain import explanation as explaining
from aftersend.rules.recipient.decisions import DECISION_NAMES
from aftersend.rules.recipient.facts import names_of_facts
from aftersend.rules.recipient.kinds import KIND_NAME
from aftersend.rules.recipient.statuses import STATUS_NAME, STATUS_TERMINAL
from aftersend.rules.views import VIEWS
from aftersend.schemas.raw import RecordPosition
from aftersend.schemas.times import iso
from aftersend.services.answers import ApiExplanation, ApiRawRecord, ApiRecordPosition, ApiStatusChange, ApiStep

#: Stands for every view.
ALL_VIEWS: Final = "all"
#: The last second of the year 9999.
_END_OF_TIME: Final = 253_402_300_799
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


class StepResolver:
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
        self._sources = sources
        self._raw_topic = raw_topic
        self.events_topic = events_topic
        self.partition = partition

    def source(self, step: explaining.ExplanationStep) -> str:
        """Return the name of a step's source; "" for an expiry."""
        if step.logged is not None:
            return step.logged.event.source
        return (
            self._sources.get(step.raw_position[0], str(step.raw_position[0])) if step.raw_position is not None else ""
        )

    def raw(self, step: explaining.ExplanationStep) -> RecordPosition | None:
        """Return where a step's raw record lies, None if there is none or nobody knows."""
        if step.raw_position is None:
            event = step.logged.event if step.logged is not None else None
            if event is None or event.raw_offset < 0:
                return None
            return RecordPosition(self._raw_topic(event.source), event.raw_partition, event.raw_offset)
        source, partition, offset = step.raw_position
        name = self._sources.get(source)
        topic = self._raw_topic(name) if source and name else self.events_topic
        return RecordPosition(topic, partition, offset)


class ExplainOptions(msgspec.Struct, frozen=True):
    """What an explanation is to show besides."""

    #: As of when, seconds since 1970; None: as of now.
    as_of: float | None = None
    #: Names of views.
    views: tuple[str, ...] = ()
    #: The raw records.
    raw: bool = False


def views_of(given: Iterable[str]) -> tuple[str, ...]:
    """Return names of views, each once and in their order.

    Args:
        given: names; `all` stands for all of them.

    Raises:
        ValueError: if there is no such view.
    """
    asked = set(given)
    if unknown := sorted(asked - VIEWS.keys() - {ALL_VIEWS}):
        raise ValueError(f"there is no view {unknown[0][:40]!r}; there are {', '.join(VIEWS)}")
    return tuple(name for name in VIEWS if name in asked or ALL_VIEWS in asked)


def time_of(given: str) -> float:
    """Return a point in time, seconds since 1970, from ISO 8601 with its zone, or such seconds.

    Raises:
        ValueError: if it is neither, or not between 1970 and 9999.
    """
    try:
        seconds = (
            float(given) if given.isascii() and given.replace(".", "", 1).isdecimal() else _with_zone(given).timestamp()
        )
    except (ValueError, OverflowError) as error:
        raise ValueError("say ISO 8601 with its zone (2026-01-31T12:00:00Z), or seconds since 1970") from error
    if not 0 <= seconds <= _END_OF_TIME:
        raise ValueError("not a time between 1970 and 9999")
    return seconds


def _with_zone(given: str) -> datetime:
    moment = datetime.fromisoformat(given)
    if moment.tzinfo is None:
        raise ValueError("no zone")
    return moment


def in_view(view: str, status: int | None, facts: int | None) -> str | None:
    """Return what a view shows of a row; None: not known any more.

    Args:
        view: its name.
        status: of the row; None: not known.
        facts: of the row, bits; None: not known.
    """
    if status is None or facts is None:
        return None
    if not status and not facts:
        return STATUS_NAME[0]  # there is no row
    return VIEWS[view].status_of(facts, status).name


def shown(
    delivery_id: str,
    recipient: str,
    state: explaining.RowState | None,
    explanation: explaining.RowExplanation,
    names: StepResolver,
    options: ExplainOptions,
    raw: Mapping[RecordPosition, bytes] | None = None,
) -> ApiExplanation:
    """Return an explanation for others to read.

    Args:
        delivery_id: of the row.
        recipient: of the row.
        state: of the row, as of the time that is wished for; None: there is none.
        explanation: of the row.
        names: of the installation.
        options: what is to be shown.
        raw: the values of raw records, if they are to be shown.
    """
    status = state.status if state is not None else None
    result = ApiExplanation(
        delivery_id=delivery_id,
        recipient=recipient,
        status=STATUS_NAME[status] if status is not None else None,
        final=status is not None and STATUS_TERMINAL[status],
        facts=names_of_facts(state.facts or 0) if state is not None else [],
        version=(state.version or 0) if state is not None else 0,
        steps=[_step(number, step, names, options, raw or {}) for number, step in enumerate(explanation.steps, 1)],
        missing=explanation.missing,
        notes=notes(state, explanation, options),
        disagreements=explanation.disagreements,
    )
    if options.as_of is not None:
        result.as_of = iso(options.as_of) or "1970-01-01T00:00:00.000Z"
    if options.views and state is not None:
        result.views = {view: in_view(view, status, state.facts) for view in options.views}
    return result


def notes(
    state: explaining.RowState | None, explanation: explaining.RowExplanation, options: ExplainOptions
) -> list[str]:
    """Return in words what is not known of a row, and why."""
    found = []
    if options.as_of is not None and state is not None and (state.status is None or state.facts is None):
        found.append("of the row as it was then not all is known any more")
    if state is None and explanation.steps:
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
    if waiting and state is not None:
        found.append(f"{waiting} events are on the events topic but not in the row yet")
    return found


def _names(statuses: Sequence[int | None]) -> list[str | None]:
    return [STATUS_NAME[status] if status is not None else None for status in statuses]


def _step(
    number: int,
    step: explaining.ExplanationStep,
    names: StepResolver,
    options: ExplainOptions,
    raw: Mapping[RecordPosition, bytes],
) -> ApiStep:
    before, after = _names((step.before, step.after))
    result = ApiStep(
        number=number,
        kind=KIND_NAME[step.kind],
        decision=DECISION_NAMES[step.decision] if step.decision is not None else "",
        rule=step.rule,
        reference=step.reference,
        before=before,
        after=after,
        views={
            view: ApiStatusChange(
                before=in_view(view, step.before, step.facts_before), after=in_view(view, step.after, step.facts_after)
            )
            for view in options.views
        },
        new_facts=names_of_facts(step.new_facts) if step.new_facts is not None else None,
        lost_facts=names_of_facts(step.lost_facts),
        arrived_at=iso(step.received_at),
        repeats=step.repeats,
        waiting=step.waiting,
        source=names.source(step),
        event_id=step.digest.hex(),
    )
    position = names.raw(step)
    if position is not None:
        result.raw = ApiRecordPosition(topic=position.topic, partition=position.partition, offset=position.offset)
        if position in raw:
            result.raw_record = _raw_record(raw[position])
    if step.logged is not None:
        event = step.logged.event
        result.event_id = event.event_id
        result.occurred_at = iso(event.occurred_at)
        result.event = ApiRecordPosition(topic=names.events_topic, partition=names.partition, offset=step.logged.offset)
        for name in _DETAILS:
            setattr(result, name, getattr(event, name))
    return result


def _raw_record(value: bytes) -> ApiRawRecord:
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return ApiRawRecord(base64=base64.b64encode(value).decode(), text=UNSET)
    return ApiRawRecord(base64=base64.b64encode(value).decode(), text=text)
