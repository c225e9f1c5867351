"""Explanation of a row as the query API and `aftersend explain --json` return it."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping
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
from aftersend.schemas.times import END_OF_TIME, iso
from aftersend.services.answers import ApiExplanation, ApiRawRecord, ApiRecordPosition, ApiStatusChange, ApiStep

#: Selects every view.
ALL_VIEWS: Final = "all"
_EPOCH: Final = "1970-01-01T00:00:00.000Z"
#: Part of an unknown view's name that an error message repeats, characters.
_SHOWN: Final = 40
#: Fields of an event that are included unchanged.
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
    """Resolves numbers in the steps of an explanation: names of sources, positions of raw records.

    Args:
        sources: names of the sources by number.
        raw_topic: returns the raw topic of a source.
        events_topic: topic of canonical events.
        partition: of the row, in the events topic.
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
        if step.raw_position is None:
            return ""
        return self._sources.get(step.raw_position.source, str(step.raw_position.source))

    def raw(self, step: explaining.ExplanationStep) -> RecordPosition | None:
        """Return the position of a step's raw record; None: there is none, or it is unknown."""
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
    """What an explanation includes."""

    #: Time of the explained state, seconds since 1970; None: now.
    as_of: float | None = None
    #: Names of the views whose statuses are included.
    views: tuple[str, ...] = ()
    #: Include the raw records.
    raw: bool = False


def views_of(given: Iterable[str]) -> tuple[str, ...]:
    """Return names of views without duplicates, in their usual order.

    Args:
        given: names; `ALL_VIEWS` selects all of them.

    Raises:
        ValueError: if there is no such view.
    """
    wanted = set(given)
    if unknown := sorted(wanted - VIEWS.keys() - {ALL_VIEWS}):
        raise ValueError(f"there is no view {unknown[0][:_SHOWN]!r}; there are {', '.join(VIEWS)}")
    return tuple(name for name in VIEWS if name in wanted or ALL_VIEWS in wanted)


def time_of(given: str) -> float:
    """Return a point in time, seconds since 1970.

    Args:
        given: ISO 8601 with a time zone, or seconds since 1970.

    Raises:
        ValueError: if it is neither, or not between 1970 and 9999.
    """
    is_number = given.isascii() and given.replace(".", "", 1).isdecimal()
    try:
        seconds = float(given) if is_number else _with_zone(given).timestamp()
    except (ValueError, OverflowError) as error:
        raise ValueError("give ISO 8601 with a time zone (2026-01-31T12:00:00Z), or seconds since 1970") from error
    if not 0 <= seconds <= END_OF_TIME:
        raise ValueError("not a time between 1970 and 9999")
    return seconds


def _with_zone(given: str) -> datetime:
    moment = datetime.fromisoformat(given)
    if moment.tzinfo is None:
        raise ValueError("no time zone")
    return moment


def status_in_view(view: str, status: int | None, facts: int | None) -> str | None:
    """Return the status of a row in a view; None: no longer known.

    Args:
        view: its name.
        status: of the row; None: unknown.
        facts: of the row, bits; None: unknown.
    """
    if status is None or facts is None:
        return None
    if not status and not facts:
        return STATUS_NAME[0]  # there is no row
    return VIEWS[view].status_of(facts, status).name


def to_answer(
    delivery_id: str,
    recipient: str,
    state: explaining.RowState | None,
    explanation: explaining.RowExplanation,
    names: StepResolver,
    options: ExplainOptions,
    raw: Mapping[RecordPosition, bytes] | None = None,
) -> ApiExplanation:
    """Return an explanation as an answer.

    Args:
        delivery_id: of the row.
        recipient: of the row.
        state: of the row at the requested time; None: there is no row.
        explanation: of the row.
        names: of the installation.
        options: what to include.
        raw: values of the raw records by position; None: they are not included.
    """
    status = state.status if state is not None else None
    result = ApiExplanation(
        delivery_id=delivery_id,
        recipient=recipient,
        status=_status_name(status),
        final=status is not None and STATUS_TERMINAL[status],
        facts=names_of_facts(state.facts or 0) if state is not None else [],
        version=(state.version or 0) if state is not None else 0,
        steps=[_step(number, step, names, options, raw or {}) for number, step in enumerate(explanation.steps, 1)],
        missing=explanation.missing,
        notes=notes(state, explanation, options),
        disagreements=explanation.disagreements,
    )
    if options.as_of is not None:
        result.as_of = iso(options.as_of) or _EPOCH
    if options.views and state is not None:
        result.views = {view: status_in_view(view, status, state.facts) for view in options.views}
    return result


def notes(
    state: explaining.RowState | None, explanation: explaining.RowExplanation, options: ExplainOptions
) -> list[str]:
    """Return the gaps of an explanation and their reasons, as sentences."""
    found = []
    if options.as_of is not None and state is not None and (state.status is None or state.facts is None):
        found.append("the state at that time is no longer known completely")
    if state is None and explanation.steps:
        found.append("there is no row: its events are not folded yet, or it was deleted after its retention")
    if explanation.missing:
        found.append(
            f"{explanation.missing} earlier changes are no longer known: the row remembers its last 33 events, and "
            "retention has removed older ones from the events topic"
        )
    unknown = sum(step.decision is None and not step.waiting for step in explanation.steps)
    if unknown:
        found.append(f"the decisions of {unknown} earlier events are no longer known")
    waiting = sum(step.waiting for step in explanation.steps)
    if waiting and state is not None:
        found.append(f"{waiting} events on the events topic are not folded yet")
    return found


def _status_name(status: int | None) -> str | None:
    return STATUS_NAME[status] if status is not None else None


def _step(
    number: int,
    step: explaining.ExplanationStep,
    names: StepResolver,
    options: ExplainOptions,
    raw: Mapping[RecordPosition, bytes],
) -> ApiStep:
    result = ApiStep(
        number=number,
        kind=KIND_NAME[step.kind],
        decision=DECISION_NAMES[step.decision] if step.decision is not None else "",
        rule=step.rule,
        reference=step.reference,
        before=_status_name(step.before),
        after=_status_name(step.after),
        views={view: _in_view(view, step) for view in options.views},
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


def _in_view(view: str, step: explaining.ExplanationStep) -> ApiStatusChange:
    return ApiStatusChange(
        before=status_in_view(view, step.before, step.facts_before),
        after=status_in_view(view, step.after, step.facts_after),
    )


def _raw_record(value: bytes) -> ApiRawRecord:
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return ApiRawRecord(base64=base64.b64encode(value).decode(), text=UNSET)
    return ApiRawRecord(base64=base64.b64encode(value).decode(), text=text)
