"""Each decision in words, and what an explanation says of times, repeats and places."""

from typing import Any

import msgspec
import pytest

from rules.explain import Explanation, Replay, Told, explain
from rules.lifecycle import KIND_NAME, STATUS_NAME
from rules.timing import timing
from schemas.feedback import Feedback, Folded
from schemas.state import Row
from tests.unit.rules.making import DAY, HOUR, NUMBERS, START, event

TIMES = timing(numbers=NUMBERS)


def told(*events: Folded | str, tick: float = 0.0) -> Explanation:
    """Explain events that the row has all taken; a bare type stands for an event a second after the one before."""
    made = [event(e, i) if isinstance(e, str) else e for i, e in enumerate(events)]
    full = [msgspec.json.decode(msgspec.json.encode(e), type=Feedback) for e in made]
    of = [Told(e, i, e.received_at, tick) for i, e in enumerate(full)]
    replay = Replay("d", 3, NUMBERS, TIMES)
    for one in of:
        replay.take(one)
    return explain(replay.row, of, Replay("d", 3, NUMBERS, TIMES), complete=True)


def last(*events: Folded | str, tick: float = 0.0) -> tuple[str, str]:
    """Return the last step's rule and reference."""
    step = told(*events, tick=tick).steps[-1]
    return step.rule, step.reference


@pytest.mark.parametrize(
    "events, rule, section",
    [
        (["sent"], "status sent (20) is the row's first", "lifecycle row sent"),
        (["opened", "clicked"], "status clicked (70) outranks opened (60)", "lifecycle row clicked"),
        (["clicked", "unsubscribed"], "status unsubscribed (90, terminal) outranks clicked (70)", "row unsubscribed"),
        (
            ["delivered", "hard_bounce"],
            "status hard_bounce is terminal and replaces delivered (50)",
            "lifecycle row hard_bounce",
        ),
        (
            ["clicked", "opened"],
            "status opened (60) does not outrank clicked (70); its facts count all the same",
            "lifecycle row opened",
        ),
        (
            ["opened", "opened"],
            "status opened (60) is there already; the event counts as a fact",
            "lifecycle row opened",
        ),
        (["sent", "autoresponded"], "autoresponded strives for no status; it leaves facts only", "lifecycle: facts"),
        (["sent", "unknown"], "status unknown (49, terminal) outranks sent (20)", "lifecycle row unknown"),
        (
            ["delivered", "unknown"],
            "status unknown (49, terminal) does not outrank delivered (50); its facts",
            "unknown",
        ),
        (
            ["complained", "clicked"],
            "status complained is terminal, so nothing replaces it; the event counts as a fact",
            "lifecycle row complained",
        ),
    ],
)
def test_the_rule_of_a_decision(events: list[str], rule: str, section: str) -> None:
    said, reference = last(*events)

    assert said.startswith(rule)
    assert reference.startswith("semantics.md section 2, ")
    assert reference.endswith(section)


def test_a_duplicate_says_since_when_it_is_known() -> None:
    same = event("opened", event_id="same")
    found = told(same, "clicked", same)

    assert "since 2025-09-14T12:00:00.000Z" in found.steps[-1].rule
    assert "semantics.md section 2, duplicates" == found.steps[-1].reference
    assert [1, 0, 0] == [step.repeats for step in found.steps]


def test_a_test_message() -> None:
    assert last(event("sent", test=True))[0].startswith("a test message")


@pytest.mark.parametrize("missing, word", [({"recipient": ""}, "recipient"), ({"delivery_id": ""}, "delivery")])
def test_what_belongs_to_nobody(missing: dict[str, Any], word: str) -> None:
    assert f"names no {word}," in last(event("sent", **missing))[0]


def test_after_the_freeze() -> None:
    rule, reference = last("sent", event("opened", 30 * DAY))

    assert "freeze (2025-10-14T12:00:00.000Z, 30 days after its first event)" in rule
    assert "semantics.md section 2, freeze" == reference


def test_after_the_retention() -> None:
    replay = Replay("d", 0, NUMBERS, TIMES)
    replay.take(Told(Feedback("1", "d", "r@example.org", "sent"), 0, START, 0.0))
    (step,) = replay.take(Told(Feedback("2", "d", "r@example.org", "opened"), 1, START + DAY, START + 121 * DAY))

    assert "past their retention" in step.rule


def test_the_end_of_a_wait_is_a_step_of_its_own() -> None:
    found = told("sent", event("delivered", 49 * HOUR))

    assert ["sent", "expired", "delivered"] == [KIND_NAME[step.kind] for step in found.steps]
    expiry, after = found.steps[1:]
    assert ("sent", "unknown") == (STATUS_NAME[expiry.before or 0], STATUS_NAME[expiry.after or 0])
    assert "no outcome was heard of 48 hours after " in expiry.rule
    assert expiry.rule.endswith("so sent becomes unknown for good")
    assert START + 48 * HOUR == expiry.received_at
    assert expiry.place is None
    assert "status unknown is terminal" in after.rule


def test_an_expiry_that_is_taken_back() -> None:
    found = told("sent", event("opened", 40 * HOUR), tick=START + 60 * HOUR)

    assert [("none", "sent"), ("sent", "unknown"), ("sent", "opened")] == [
        (STATUS_NAME[step.before or 0], STATUS_NAME[step.after or 0]) for step in found.steps
    ]
    assert found.steps[2].rule.startswith("arrived before the wait was over (2025-09-16T12:00:00.000Z)")


def test_places_are_those_of_the_raw_records_or_else_of_the_events() -> None:
    found = told(event("sent", raw_partition=5, raw_offset=77), "opened")

    assert [(NUMBERS["kumomta"], 5, 77), (0, 3, 1)] == [step.place for step in found.steps]


def test_what_is_about_an_address_is_no_event_of_a_row() -> None:
    made = [Told(Feedback("1", "d", "r@example.org", "released"), 0, START, 0.0)]

    assert [] == explain(None, made, Replay("d", 0, NUMBERS, TIMES), complete=True).steps


def test_without_a_row_everything_waits() -> None:
    made = [Told(Feedback("1", "d", "r@example.org", "sent"), 0, START, 0.0)]

    (step,) = explain(None, made, Replay("d", 0, NUMBERS, TIMES), complete=True).steps

    assert step.waiting


def test_a_row_whose_events_are_nowhere() -> None:
    """The topic reaches back to the delivery's start and has none of them: not what should be."""
    found = explain(Row(status=3, version=1), [], Replay("d", 0, NUMBERS, TIMES), complete=True)

    assert found.disagreements
