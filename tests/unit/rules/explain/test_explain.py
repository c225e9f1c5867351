"""Each decision in words, and what an explanation says of times, repeats and places."""

import itertools
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aftersend.rules.explain.explain import as_of, explain
from aftersend.rules.explain.explanation import LoggedEvent, RowExplanation
from aftersend.rules.explain.replay import Replay
from aftersend.rules.recipient.decisions import DECISION_NAMES
from aftersend.rules.recipient.kinds import KIND_NAME
from aftersend.rules.recipient.statuses import STATUS_NAME
from aftersend.rules.recipient.timing import timing
from aftersend.rules.views import VIEWS
from aftersend.schemas.event import Feedback, FoldEvent
from aftersend.schemas.recipient import Row
from tests.unit.rules.factories import DAY, HOUR, NUMBERS, START, event

TIMES = timing(numbers=NUMBERS)


def explained(*events: FoldEvent | str, tick: float = 0.0) -> RowExplanation:
    """Explain events that the row has all taken; a bare type stands for an event a second after the one before."""
    made = [event(e, i) if isinstance(e, str) else e for i, e in enumerate(events)]
    full = [msgspec.json.decode(msgspec.json.encode(e), type=Feedback) for e in made]
    of = [LoggedEvent(e, i, e.received_at, tick) for i, e in enumerate(full)]
    replay = Replay("d", 3, NUMBERS, TIMES)
    for one in of:
        replay.take(one)
    return explain(replay.row, of, Replay("d", 3, NUMBERS, TIMES), complete=True)


def last(*events: FoldEvent | str, tick: float = 0.0) -> tuple[str, str]:
    """Return the last step's rule and reference."""
    step = explained(*events, tick=tick).steps[-1]
    return step.rule, step.reference


@pytest.mark.parametrize(
    "events, rule, section",
    [
        (["sent"], "status sent (20) is the row's first", "§2.1, status sent"),
        (["opened", "clicked"], "status clicked (70) outranks opened (60)", "§2.1, status clicked"),
        (
            ["clicked", "unsubscribed"],
            "status unsubscribed (90, terminal) outranks clicked (70)",
            "status unsubscribed",
        ),
        (
            ["delivered", "hard_bounce"],
            "status hard_bounce is terminal and replaces delivered (50)",
            "§2.1, status hard_bounce",
        ),
        (
            ["clicked", "opened"],
            "status opened (60) does not outrank clicked (70); its facts count all the same",
            "§2.1, status opened",
        ),
        (
            ["opened", "opened"],
            "status opened (60) is the row's status already; the event counts as a fact",
            "§2.1, status opened",
        ),
        (["sent", "autoresponded"], "autoresponded sets no status; it only adds facts", "§2.3, facts"),
        (["sent", "unknown"], "status unknown (49, terminal) outranks sent (20)", "§2.1, status unknown"),
        (
            ["delivered", "unknown"],
            "status unknown (49, terminal) does not outrank delivered (50); its facts",
            "unknown",
        ),
        (
            ["complained", "clicked"],
            "status complained is terminal, so nothing replaces it; the event counts as a fact",
            "§2.1, status complained",
        ),
    ],
)
def test_the_rule_of_a_decision(events: list[str], rule: str, section: str) -> None:
    said, reference = last(*events)

    assert said.startswith(rule)
    assert reference.startswith("docs/domain.md §2")
    assert reference.endswith(section)


def test_a_duplicate_says_since_when_it_is_known() -> None:
    same = event("opened", event_id="same")
    found = explained(same, "clicked", same)

    assert "since 2025-09-14T12:00:00.000Z" in found.steps[-1].rule
    assert "docs/domain.md §2.5, duplicates" == found.steps[-1].reference
    assert [1, 0, 0] == [step.repeats for step in found.steps]


def test_a_test_message() -> None:
    assert last(event("sent", test=True))[0].startswith("a test message")


@pytest.mark.parametrize("missing, word", [({"recipient": ""}, "recipient"), ({"delivery_id": ""}, "delivery")])
def test_what_belongs_to_nobody(missing: dict[str, Any], word: str) -> None:
    assert f"names no {word}," in last(event("sent", **missing))[0]


def test_after_the_freeze() -> None:
    rule, reference = last("sent", event("opened", 30 * DAY))

    assert "freeze (2025-10-14T12:00:00.000Z, 30 days after its first event)" in rule
    assert "docs/domain.md §2.6, freeze" == reference


def test_after_the_retention() -> None:
    replay = Replay("d", 0, NUMBERS, TIMES)
    replay.take(LoggedEvent(Feedback("1", "d", "r@example.org", "sent"), 0, START, 0.0))
    (step,) = replay.take(LoggedEvent(Feedback("2", "d", "r@example.org", "opened"), 1, START + DAY, START + 121 * DAY))

    assert "past their retention" in step.rule


def test_the_end_of_a_wait_is_a_step_of_its_own() -> None:
    found = explained("sent", event("delivered", 49 * HOUR))

    assert ["sent", "expired", "delivered"] == [KIND_NAME[step.kind] for step in found.steps]
    expiry, after = found.steps[1:]
    assert ("sent", "unknown") == (STATUS_NAME[expiry.before or 0], STATUS_NAME[expiry.after or 0])
    assert "no outcome within 48 hours after sending" in expiry.rule
    assert expiry.rule.endswith("so sent becomes unknown for good")
    assert START + 48 * HOUR == expiry.received_at
    assert expiry.raw_position is None
    assert "status unknown is terminal" in after.rule


def test_an_expiry_that_is_taken_back_is_not_listed() -> None:
    """The row is as if the event had been read in time, and so is its explanation."""
    found = explained("sent", event("opened", 40 * HOUR), tick=START + 60 * HOUR)

    assert [("none", "sent"), ("sent", "opened")] == [
        (STATUS_NAME[step.before or 0], STATUS_NAME[step.after or 0]) for step in found.steps
    ]


def test_events_are_listed_and_decided_in_the_order_of_arrival() -> None:
    explanation = explained(
        event("complained", 300), event("sent", 0), event("unsubscribed", 200), event("opened", 100), event("sent", 50)
    )

    assert ["sent", "sent", "opened", "unsubscribed", "complained"] == [KIND_NAME[s.kind] for s in explanation.steps]
    assert ["applied", "lower_priority", "applied", "applied", "terminal_locked"] == [
        DECISION_NAMES[step.decision or 0] for step in explanation.steps
    ]
    assert [] == explanation.disagreements


def test_places_are_those_of_the_raw_records_or_else_of_the_events() -> None:
    found = explained(event("sent", raw_partition=5, raw_offset=77), "opened")

    assert [(NUMBERS["kumomta"], 5, 77), (0, 3, 1)] == [step.raw_position for step in found.steps]


def test_what_is_about_an_address_is_no_event_of_a_row() -> None:
    made = [LoggedEvent(Feedback("1", "d", "r@example.org", "released"), 0, START, 0.0)]

    assert [] == explain(None, made, Replay("d", 0, NUMBERS, TIMES), complete=True).steps


def test_without_a_row_everything_waits() -> None:
    made = [LoggedEvent(Feedback("1", "d", "r@example.org", "sent"), 0, START, 0.0)]

    (step,) = explain(None, made, Replay("d", 0, NUMBERS, TIMES), complete=True).steps

    assert step.waiting


def test_a_row_whose_events_are_nowhere() -> None:
    """The topic reaches back to the delivery's start and has none of them: not what should be."""
    found = explain(Row(status=3, version=1), [], Replay("d", 0, NUMBERS, TIMES), complete=True)

    assert found.disagreements


# As of a time.


def asked(
    events: list[FoldEvent], time: float, *, tick: float = 0.0, complete: bool = True
) -> tuple[RowExplanation, Any]:
    """Explain a row that has taken all events, as of a time."""
    full = [msgspec.json.decode(msgspec.json.encode(e), type=Feedback) for e in events]
    of = [LoggedEvent(e, i, e.received_at, tick) for i, e in enumerate(full)]
    row = Replay("d", 3, NUMBERS, TIMES)
    for one in of:
        row.take(one)
    if not complete:
        of = []
    whole = explain(row.row, of, Replay("d", 3, NUMBERS, TIMES), complete=complete)
    return as_of(whole, of, Replay("d", 3, NUMBERS, TIMES), time)


LIFE = [event("sent"), event("deferred", HOUR), event("delivered", 2 * HOUR), event("opened", 3 * HOUR)]


@pytest.mark.parametrize(
    "hours, status, efs",
    [(0, "sent", "Pending"), (1, "deferred", "Failed"), (1.9, "deferred", "Failed"), (2, "delivered", "Sent")],
)
def test_a_row_as_it_was(hours: float, status: str, efs: str) -> None:
    found, state = asked(LIFE, START + hours * HOUR)

    assert status == STATUS_NAME[state.status]
    assert efs == VIEWS["efs"].status_of(state.facts, state.status).name
    assert (state.status, state.facts) == (found.steps[-1].after, found.steps[-1].facts_after)
    assert len(found.steps) == state.version == int(hours) + 1


def test_before_the_first_event_there_was_no_row() -> None:
    assert (RowExplanation(steps=[]), None) == asked(LIFE, START - 1)


def test_in_the_end_it_is_the_row_that_is_stored() -> None:
    _, state = asked(LIFE, START + DAY)

    assert ("opened", 4, START + 3 * HOUR) == (STATUS_NAME[state.status], state.version, state.status_at)


def test_a_wait_that_was_over_by_then() -> None:
    """It ended at its time, though the row was told of it by the event that came after."""
    life = [event("sent"), event("delivered", 60 * HOUR)]

    assert "sent" == STATUS_NAME[asked(life, START + 47 * HOUR)[1].status]
    found, state = asked(life, START + 50 * HOUR)
    assert (["sent", "expired"], "unknown") == ([KIND_NAME[s.kind] for s in found.steps], STATUS_NAME[state.status])


def test_an_expiry_that_nobody_noticed_has_not_happened() -> None:
    """No tick came, and no event: the row still waits."""
    assert "sent" == STATUS_NAME[asked([event("sent")], START + 60 * HOUR)[1].status]


def test_from_the_rows_own_memory() -> None:
    """Its events are gone from the topic; it remembers what they did."""
    found, state = asked(LIFE, START + HOUR, complete=False)

    assert ("deferred", 2, None) == (STATUS_NAME[state.status], len(found.steps), state.version)
    assert "Failed" == VIEWS["efs"].status_of(state.facts, state.status).name


def test_what_is_forgotten_is_not_known() -> None:
    """More events than a row remembers: of the time before the first of those nothing is said."""
    life = [event("opened", n) for n in range(60)]
    found, state = asked(life, START + 5, complete=False)

    assert ([], None, None) == (found.steps, state.status, state.facts)
    assert found.missing > 20


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["sent", "deferred", "delivered", "opened", "clicked", "hard_bounce", "complained"]),
            st.integers(0, 40 * 24),
        ),
        min_size=1,
        max_size=8,
    ),
    st.integers(0, 41 * 24),
)
def test_as_of_a_time_is_what_the_events_until_then_make(kinds: list[tuple[str, int]], hours: int) -> None:
    """Whatever came later, and whatever time it told the row."""
    life = [event(kind, at * HOUR) for kind, at in sorted(kinds, key=lambda one: one[1])]
    time = START + hours * HOUR
    found, state = asked(life, time)

    early = [one for one in life if one.received_at <= time]
    if not early:
        assert state is None
        return
    replay = Replay("d", 3, NUMBERS, TIMES)
    for number, one in enumerate(early):
        replay.take(
            LoggedEvent(msgspec.json.decode(msgspec.json.encode(one), type=Feedback), number, one.received_at, 0.0)
        )
    whole = [step for step in asked(life, START + 50 * DAY)[0].steps if step.received_at <= time]
    assert [(s.kind, s.before, s.after, s.facts_after) for s in whole] == [
        (s.kind, s.before, s.after, s.facts_after) for s in found.steps
    ]
    if KIND_NAME[found.steps[-1].kind] != "expired":
        assert replay.row is not None
        assert (replay.row.status, replay.row.facts) == (state.status, state.facts)
    for earlier, later in itertools.pairwise(found.steps):
        assert (earlier.after, earlier.facts_after) == (later.before, later.facts_before)
