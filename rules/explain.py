"""What each event did to a row and why, by folding the row's events again with `rules.fold` itself.

Two things tell of a row's events: the events topic, which has all of them for as long as it keeps records, and the
row's own packed history, which has the last 33 for as long as there is a row. `explain` takes both and says how they go
together. Pure: whoever calls reads the topics.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec
from msgspec.structs import replace

from rules import explain_words as words
from rules.fold import due_at, expire, fold, late
from rules.history import MAX_SOURCE, Entry, digest_of, entries, find, place_of
from rules.lifecycle import (
    EXPIRED,
    EXPIRED_STATUSES,
    EXPIRES_TO,
    KIND_FACTS,
    KIND_NAME,
    KIND_STATUS,
    STATUS_NAME,
    Decision,
    Fact,
    kind_of,
    names_of_facts,
)
from rules.timing import Timing, closes_at, replaces, terms_of, windows_of
from schemas.delivery import Declaration, Terms
from schemas.feedback import Feedback
from schemas.state import Row

_FOREVER: Final = float("inf")
_NEVER_DUE: Final = (_FOREVER,) * (MAX_SOURCE + 1)
_ALWAYS_DUE: Final = (-_FOREVER,) * (MAX_SOURCE + 1)
#: What is done with an event that came before.
_REPEATS: Final = frozenset({Decision.DUPLICATE, Decision.LATE})
#: Types of events that are about an address: no row hears of them, only the contact.
_NO_ROW: Final = frozenset({"released"})
#: The type of events that are about a delivery as such: what its rows go by from then on.
_DECLARED: Final = "declared"
#: What the end of a wait leaves; other events give the same statuses.
_FACTS_OF_EXPIRY: Final = Fact.EXPIRED | Fact.GIVEN_UP
#: What no terminal status lets happen.
_UNLOCKED: Final = frozenset({Decision.APPLIED, Decision.LOWER_PRIORITY})


class Told(msgspec.Struct):
    """An event as it lies on the events topic."""

    event: Feedback
    #: Offset of its record on the events topic.
    offset: int
    #: Timestamp of that record, seconds since 1970.
    timestamp: float
    #: The last tick before it in the partition, seconds since 1970.
    tick: float

    @property
    def received_at(self) -> float:
        """Arrival of the raw record, seconds since 1970."""
        return self.event.received_at or self.timestamp


class Step(msgspec.Struct, kw_only=True):
    """One event, or the end of a wait, and what it did."""

    kind: int
    #: None: nobody remembers.
    decision: int | None
    #: Why, in a sentence, and where the rule stands.
    rule: str
    reference: str
    #: Statuses; None: not known any more.
    before: int | None
    after: int | None
    #: Bits of `lifecycle.Fact` that were not set before, and that are no longer; None: not known any more.
    new_facts: int | None = None
    lost_facts: int = 0
    #: All facts, bits of `lifecycle.Fact`, which together with the statuses make what views show; None: not known any
    #: more.
    facts_before: int | None = None
    facts_after: int | None = None
    received_at: float
    #: How often the same event came again.
    repeats: int = 0
    digest: bytes = b""
    #: Number of the source whose raw topic holds the record; 0: the events topic itself. None: an expiry.
    place: tuple[int, int, int] | None = None
    #: As the events topic has it, where it still does.
    told: Told | None = None
    #: On the events topic, but not yet in the row.
    waiting: bool = False


class Explanation(msgspec.Struct, kw_only=True):
    """All that is known of how a row came to be."""

    steps: list[Step]
    #: Changes that nothing tells of any more.
    missing: int = 0
    #: What does not agree with the row; empty: the row is what its events make of it.
    disagreements: list[str] = []


class State(msgspec.Struct, kw_only=True):
    """A row as it was at some time."""

    #: None: not known any more.
    status: int | None
    facts: int | None
    version: int | None
    #: Arrival of the event that made it so, seconds since 1970.
    updated_at: float


class Replay:
    """Folds a row's events again, one at a time, as the tables did.

    Args:
        delivery_id: of the row.
        partition: of the events topic.
        numbers: of the sources, by name.
        timing: of the installation.
        started_at: when the delivery started in this partition, seconds since 1970; None: with the first event.
        terms: what was declared of the delivery before the first event that is taken; None: nothing.
    """

    def __init__(
        self,
        delivery_id: str,
        partition: int,
        numbers: Mapping[str, int],
        timing: Timing,
        started_at: float | None = None,
        terms: Terms | None = None,
    ) -> None:
        """Begin without a row."""
        self._terms = terms
        self.row: Row | None = None
        self._delivery = delivery_id
        self._partition = partition
        self._numbers = numbers
        self._timing = timing
        self._started_at = started_at

    def take(self, told: Told) -> list[Step]:
        """Fold an event; return what it did, after the end of a wait if that came first."""
        event, received_at, tick = told.event, told.received_at, told.tick
        if self._started_at is None:
            self._started_at = received_at
        source = self._numbers.get(event.source, 0)
        if source and event.raw_offset >= 0 <= event.raw_partition:
            place = source, event.raw_partition, event.raw_offset
        else:
            place = 0, self._partition, told.offset
        step = Step(
            kind=kind_of(event),
            decision=Decision.LATE,
            rule="",
            reference="",
            before=0,
            after=0,
            received_at=received_at,
            digest=digest_of(event.event_id),
            place=place,
            told=told,
        )
        freeze_at, gone_at = self._closes_at(self._started_at)
        past = tick >= gone_at
        if received_at >= freeze_at or (tick >= freeze_at and past):
            steps = self._late(step, freeze_at, gone=past)
        else:
            if self.row is None or (not self._delivery and self.row.updated_at + self._timing.retention <= tick):
                self.row = Row()
            steps = self._fold(self.row, step, source, min(tick, freeze_at))
        return steps

    def declare(self, told: Told) -> list[Step]:
        """Take what the sender declares of the delivery: from now on the row goes by that.

        Waits that are over by what was in force until now end first.
        """
        event = told.event
        terms = terms_of(event.declaration or Declaration(), told.received_at, event.event_id)
        if not replaces(terms, self._terms):
            return []
        steps = []
        freeze_at, gone_at = (_FOREVER, _FOREVER) if self._started_at is None else self._closes_at(self._started_at)
        if told.tick >= gone_at:
            return []
        due = self.due()
        if not terms.same_times(self._terms) and due is not None and due <= min(told.tick, freeze_at):
            steps.append(_expire(self.row or Row(), due))
        self._terms = terms
        return steps

    def _closes_at(self, started_at: float) -> tuple[float, float]:
        """Return when the delivery freezes and when its rows are forgotten, seconds since 1970."""
        return closes_at(started_at, self._terms, self._timing) if self._delivery else (_FOREVER, _FOREVER)

    def due(self) -> float | None:
        """Return when the row's wait ends, seconds since 1970; None if it waits for nothing."""
        windows = windows_of(self._terms, self._timing)
        return None if self.row is None else due_at(self.row, windows[self.row.source])

    def expired(self) -> tuple[Row, Step] | None:
        """Return the row as it is when its wait has ended, and that step; None if it waits for nothing."""
        due = self.due()
        if due is None or self.row is None:
            return None
        row = replace(self.row)
        return row, _expire(row, due)

    def _late(self, step: Step, freeze_at: float, *, gone: bool) -> list[Step]:
        steps = []
        row = None if gone else self.row
        step.reference = words.reference(step.kind, Decision.LATE, None)
        step.rule = words.forgotten() if gone else words.late(self._started_at, freeze_at)
        if row is not None and step.place is not None:
            due = self.due()
            if due is not None and due <= freeze_at:
                steps.append(_expire(row, due))
            late(row, step.kind, step.received_at, step.digest, place_of(*step.place))
        step.before = step.after = row.status if row is not None else 0
        step.facts_before = step.facts_after = row.facts if row is not None else 0
        step.new_facts = 0
        return [*steps, step]

    def _fold(self, row: Row, step: Step, source: int, limit: float) -> list[Step]:
        steps = []
        due = self.due()
        if due is not None and (due <= step.received_at or due <= limit):
            steps.append(_expire(row, due))
        _take(row, step, source, limit, windows_of(self._terms, self._timing))
        return [*steps, step]


def _expire(row: Row, due: float) -> Step:
    """End a row's wait; return the step."""
    before, facts, since = row.status, row.facts, row.pending_since
    expire(row, due)
    return Step(
        kind=EXPIRED,
        decision=Decision.APPLIED,
        rule=words.expired(before, row.status, since, due),
        reference=words.EXPIRY_SECTION,
        before=before,
        after=row.status,
        new_facts=row.facts & ~facts,
        facts_before=facts,
        facts_after=row.facts,
        received_at=due,
    )


def _take(row: Row, step: Step, source: int, limit: float, windows: tuple[float, ...]) -> None:
    """Fold a step's event into the row, and note in the step what it did."""
    if step.told is None or step.place is None:  # pragma: no cover - the caller has them
        message = "a step that is folded has an event"
        raise TypeError(message)
    before, facts, previous = row.status, row.facts, row.previous
    waited_until = row.updated_at
    expired = before in EXPIRED_STATUSES and bool(facts & Fact.EXPIRED)
    at = find(row.history, step.digest)
    event = step.told.event
    place = place_of(*step.place)
    step.decision = fold(row, event, step.kind, step.received_at, limit, step.digest, place, source, windows)
    taken_back = expired and not row.facts & Fact.EXPIRED
    step.before = previous if taken_back else before
    step.after = row.status
    step.new_facts, step.lost_facts = row.facts & ~facts, facts & ~row.facts
    # Before an expiry that is taken back, as the status before.
    step.facts_before, step.facts_after = (facts & row.facts if taken_back else facts), row.facts
    first_at = entries(row.history[at : at + 32])[0].received_at if at >= 0 else None
    due = _last_expiry(row.history) or waited_until
    delivery = bool(event.delivery_id) if event.type else None  # a stand-in does not tell
    step.rule = (words.taken_back(due) if taken_back else "") + sentence(
        step.kind, step.decision, step.before, first_at=first_at, delivery=delivery
    )
    step.reference = words.reference(step.kind, step.decision, step.before)


def sentence(
    kind: int, decision: int, before: int | None, *, first_at: float | None = None, delivery: bool | None = None
) -> str:
    """Return the rule behind a decision.

    Args:
        kind: of the event.
        decision: what was done with it.
        before: the row's status before, None if it is not known.
        first_at: of a duplicate, when the row took the event, seconds since 1970.
        delivery: whether the event names its delivery; None: not known.
    """
    match decision:
        case Decision.APPLIED:
            told = words.applied(kind, before)
        case Decision.DUPLICATE:
            told = words.duplicate(first_at)
        case Decision.LOWER_PRIORITY:
            told = words.lower_priority(kind, before)
        case Decision.TERMINAL_LOCKED:
            told = words.terminal_locked(before)
        case Decision.TEST:
            told = words.test()
        case Decision.UNATTRIBUTED:
            told = words.unattributed(delivery=delivery)
        case _:
            told = words.late(None, None)
    return told


def _last_expiry(history: bytes) -> float | None:
    """Return when the last wait that a history tells of ended, seconds since 1970."""
    return next((entry.received_at for entry in reversed(entries(history)) if entry.kind == EXPIRED), None)


# ------------------------------------------------------------------------------------------------ events and the row


def explain(row: Row | None, told: Sequence[Told], replay: Replay, *, complete: bool) -> Explanation:
    """Return how a row came to be.

    Args:
        row: as it is stored; None: there is none.
        told: what the events topic holds of it, in order. Its end may be ahead of the row.
        replay: that has folded nothing yet.
        complete: whether the events topic still reaches back to the delivery's start.
    """
    told = [one for one in told if one.event.type not in _NO_ROW]
    steps: list[Step] = []
    #: How many of them made the row what it is, the end of its wait if that came last, and the status and facts then.
    matched: tuple[int, list[Step], tuple[int, int]] | None = None
    for event in told:
        steps += replay.declare(event) if event.event.type == _DECLARED else replay.take(event)
        if row is None:
            continue
        if replay.row is not None and _same(replay.row, row):
            matched = len(steps), [], (replay.row.status, replay.row.facts)
        elif (ended := replay.expired()) is not None and _same(ended[0], row):
            matched = len(steps), [ended[1]], (ended[0].status, ended[0].facts)
    if row is None:
        return Explanation(steps=_waiting(steps))
    if matched is not None:
        length, ending, shows = matched
        made, ahead = steps[:length] + ending, steps[length:]
        if ending and ahead and ahead[0].kind == EXPIRED:
            del ahead[0]  # the same end of the same wait
        _count_repeats(made)
        return Explanation(steps=made + _waiting(ahead), disagreements=_differences(row, *shows))
    told = [one for one in told if one.event.type != _DECLARED]
    remembered = from_history(row, told)
    if complete:
        remembered.disagreements.append(
            f"folding the {len(told)} events of the events topic again gives status {_status_of(replay.row)}, version "
            f"{replay.row.version if replay.row is not None else 0}; the row has {_name(row.status)}, version "
            f"{row.version}"
        )
    return remembered


def _same(folded: Row, stored: Row) -> bool:
    return folded.version == stored.version and folded.history == stored.history


def _differences(row: Row, status: int, facts: int) -> list[str]:
    """Return what the stored row shows otherwise than its events make of it."""
    if (status, facts) == (row.status, row.facts):
        return []
    again = f"status {_name(status)} and facts {names_of_facts(facts)}"
    return [f"folding its events again gives {again}; the row has {_name(row.status)} and {names_of_facts(row.facts)}"]


def _status_of(row: Row | None) -> str:
    return _name(row.status) if row is not None else "none"


def _name(status: int) -> str:
    return STATUS_NAME[status]


def _waiting(steps: Iterable[Step]) -> list[Step]:
    result = list(steps)
    for step in result:
        step.waiting = True
    return result


def _count_repeats(steps: list[Step]) -> None:
    """Let the first of equal events say how often it came again."""
    first: dict[bytes, Step] = {}
    for step in steps:
        if step.told is None:
            continue
        if step.decision in _REPEATS and step.digest in first:
            first[step.digest].repeats += 1
        else:
            first[step.digest] = step


# -------------------------------------------------------------------------------------------------------- as of a time


def as_of(
    explanation: Explanation, told: Sequence[Told], replay: Replay, time: float
) -> tuple[Explanation, State | None]:
    """Return how a row had come to be by a time, and how it was then (None: there was none).

    By a time is what had arrived by then, and what waits had ended. Where all events of the row are known they are
    folded again; else the explanation is cut, and the state may be unknown.

    Args:
        explanation: of the row as it is.
        told: what the events topic holds of it, in order.
        replay: that has folded nothing yet.
        time: seconds since 1970.
    """
    waiting = {step.told.offset for step in explanation.steps if step.waiting and step.told is not None}
    if explanation.missing or any(step.told is None and step.kind != EXPIRED for step in explanation.steps):
        return _cut(explanation, time)
    steps: list[Step] = []
    for one in told:
        if one.event.type in _NO_ROW or one.offset in waiting or one.received_at > time:
            continue
        then = replace(one, tick=min(one.tick, time))
        steps += replay.declare(then) if one.event.type == _DECLARED else replay.take(then)
    due = replay.due()
    ends = {step.received_at for step in explanation.steps if step.kind == EXPIRED and not step.waiting}
    if due is not None and due <= time and due in ends and (ended := replay.expired()) is not None:
        replay.row, step = ended
        steps.append(step)
    _count_repeats(steps)
    row = replay.row
    state = (
        State(status=row.status, facts=row.facts, version=row.version, updated_at=row.updated_at)
        if row is not None and steps
        else None
    )
    return Explanation(steps=steps, disagreements=explanation.disagreements), state


def _cut(explanation: Explanation, time: float) -> tuple[Explanation, State | None]:
    steps = [step for step in explanation.steps if step.received_at <= time and not step.waiting]
    kept = replace(explanation, steps=steps)
    if steps:
        last = steps[-1]
        return kept, State(status=last.after, facts=last.facts_after, version=None, updated_at=last.received_at)
    known = State(status=None, facts=None, version=None, updated_at=0.0)
    return kept, known if explanation.missing else None


# --------------------------------------------------------------------------------------------------- the history alone


def from_history(row: Row, told: Sequence[Told] = ()) -> Explanation:
    """Return what a row's own history tells: each event's decision, and the statuses as far as they follow.

    Args:
        row: as it is stored.
        told: what the events topic still holds of it; tells more of the events that the history remembers.
    """
    remembered = entries(row.history)
    of_digest = {digest_of(one.event.event_id): one for one in reversed(told)}
    changes = sum(entry.decision != Decision.LATE for entry in remembered)
    missing = row.version - changes
    steps = [_remembered(entry, of_digest.get(entry.digest)) for entry in remembered]
    if missing <= 0:
        disagreements = _refold(row, steps)
    else:
        _follow(row, steps)
        disagreements = []
    known = {step.digest for step in steps}
    last = max((i for i, one in enumerate(told) if digest_of(one.event.event_id) in known), default=-1)
    unknown = [i for i, one in enumerate(told) if digest_of(one.event.event_id) not in known]
    before = [_forgotten(told[i], words.unknown()) for i in unknown if i < last]
    after = [_forgotten(told[i], words.not_in_the_row()) for i in unknown if i >= last]
    steps = before + steps + _waiting(after)
    missing -= len(before)
    return Explanation(steps=steps, missing=max(missing, 0), disagreements=disagreements)


def _remembered(entry: Entry, told: Told | None) -> Step:
    is_expiry = entry.kind == EXPIRED
    return Step(
        kind=entry.kind,
        decision=entry.decision,
        rule="",
        reference=words.EXPIRY_SECTION if is_expiry else "",
        before=None,
        after=None,
        received_at=entry.received_at,
        repeats=entry.repeats,
        digest=b"" if is_expiry else entry.digest,
        place=None if is_expiry else (entry.source, entry.partition, entry.offset),
        told=told,
    )


def _forgotten(told: Told, rule: str) -> Step:
    event = told.event
    return Step(
        kind=kind_of(event),
        decision=None,
        rule=rule,
        reference="",
        before=None,
        after=None,
        received_at=told.received_at,
        digest=digest_of(event.event_id),
        place=None,
        told=told,
    )


def _refold(stored: Row, steps: list[Step]) -> list[str]:
    """Fold a history that lacks nothing again; return what does not agree with the row."""
    row = Row()
    due = _FOREVER
    disagreements = []
    for step in steps:
        if step.kind == EXPIRED:
            due = step.received_at
            if row.status not in EXPIRES_TO:
                disagreements.append(f"the history has an expiry, but its events make {_name(row.status)} of the row")
                continue
            ended = _expire(row, due)
            step.before, step.after, step.rule, step.new_facts = ended.before, ended.after, ended.rule, ended.new_facts
            step.facts_before, step.facts_after = ended.facts_before, ended.facts_after
            continue
        if step.decision == Decision.LATE:
            step.before = step.after = row.status
            step.facts_before = step.facts_after = row.facts
            step.rule, step.reference = words.late(None, None), words.reference(step.kind, Decision.LATE, None)
            step.new_facts = 0
            continue
        decided, told = step.decision, step.told
        step.told = told or _stand_in(step)
        expired = bool(row.facts & _FACTS_OF_EXPIRY) and row.status in EXPIRED_STATUSES
        windows = _ALWAYS_DUE if expired and step.received_at >= due else _NEVER_DUE
        source = step.place[0] if step.place is not None else 0
        _take(row, step, source, 0.0, windows)
        step.told = told
        if decided != step.decision:
            disagreements.append(f"{KIND_NAME[step.kind]} should have been decided otherwise than the history says")
            step.decision = decided
    disagreements += _differences(stored, row.status, row.facts)
    return disagreements


def _stand_in(step: Step) -> Told:
    """Return as much of an event as its entry in the history tells."""
    attributed = step.decision != Decision.UNATTRIBUTED
    name = "x" if attributed else ""
    event = Feedback(step.digest.hex(), name, name, "", test=step.decision == Decision.TEST)
    return Told(event, -1, step.received_at, 0.0)


def _follow(row: Row, steps: list[Step]) -> None:
    """Fill in the statuses that follow from a history whose beginning is lost."""
    status: int | None = None
    waited: int | None = None
    expired = False
    for step in steps:
        if expired and step.kind != EXPIRED and step.decision in _UNLOCKED:
            status, expired = waited, False  # else the row would be locked: the expiry was taken back
        step.before = status
        if step.kind == EXPIRED:
            waited, expired = status, True
            status = EXPIRES_TO.get(status) if status is not None else None
        elif step.decision == Decision.APPLIED:
            status = KIND_STATUS[step.kind]
        elif step.decision == Decision.TEST:
            status = None  # whether it changed the status is not remembered
        step.after = status
    _fill_back(row, steps)
    for step in steps:
        decision = step.decision if step.decision is not None else Decision.LATE
        if step.kind == EXPIRED:
            step.rule = words.expired(step.before, step.after, None, step.received_at)
            continue
        step.rule = sentence(step.kind, decision, step.before)
        step.reference = words.reference(step.kind, decision, step.before)
        if decision != Decision.LATE and not KIND_FACTS[step.kind]:
            step.new_facts = 0


def _fill_back(row: Row, steps: list[Step]) -> None:
    """Go back from the status that the row has now, to the last step that changed it."""
    status: int | None = row.status
    for step in reversed(steps):
        if step.after is None:
            step.after = status
        changed = step.decision == Decision.APPLIED or (step.decision == Decision.TEST and step.kind != EXPIRED)
        if not changed:
            if step.before is None:
                step.before = step.after
            status = step.before
            continue
        if step.before is None and step.decision == Decision.APPLIED:
            step.before = row.previous or None  # 0 after an expiry that was taken back
        return
