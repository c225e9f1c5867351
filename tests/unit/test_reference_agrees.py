"""The engine against the reference: the same events, however they are cut into batches, give the same everything."""

from collections.abc import Sequence
from itertools import pairwise
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from aftersend.schemas.delivery import Declaration
from aftersend.schemas.event import NOT_SENT_REASONS, Feedback
from tests.unit.folding_in_memory import DAY, HOUR, START, Partition, tick

TYPES = (
    *(
        "sent",
        "delivered",
        "opened",
        "clicked",
        "deferred",
        "soft_bounce",
        "hard_bounce",
        "planned",
        "ready",
        "rejected",
    ),
    *(
        "invalid_address",
        "failed",
        "unsubscribed",
        "resubscribed",
        "complained",
        "autoresponded",
        "not_sent",
        "unknown",
        "released",
    ),
    "something_new",
)
STEPS = (1.0, 0.1, 60.0, 5 * HOUR, 1.5 * DAY, 5 * DAY)
#: Two of them mean the same by Creatio's rules, one ends the validity at once.
REASONS = ("", "InvalidRecipient", "InactiveMailbox", "QuotaIssues", "RecipientBlocked")
DIAGNOSTICS = ("", "250 ok", "550 5.1.1 no such user " + "x" * 300)

T = TypeVar("T")


class Choices:
    """One number, taken apart into choices: drawing it at once is many times quicker than drawing each."""

    def __init__(self, number: int) -> None:
        self._number = number

    def of(self, options: Sequence[T]) -> T:
        self._number, choice = divmod(self._number, len(options))
        return options[choice]


def an_event(choices: Choices, now: float, recipients: Sequence[str], deliveries: Sequence[str]) -> Feedback:
    """Return an event that arrives about now."""
    kind = choices.of(TYPES)
    flags = choices.of(range(16))
    number = choices.of(range(64))
    event = Feedback(
        event_id=f"{kind}-{number}" if number % 2 else f"{kind.encode().hex()[:28]:0<28}{number:04X}",
        recipient=choices.of(recipients),
        delivery_id=choices.of(deliveries),
        type=kind,
        occurred_at=choices.of((0.0, now - 5, now - 7200.25)),
        source=choices.of(("kumomta", "tracking", "from nowhere", "events", "sendgrid")),
        reason=choices.of(NOT_SENT_REASONS if kind == "not_sent" else REASONS),
        diagnostic=choices.of(DIAGNOSTICS),
        received_at=now - choices.of((0.0, 0.0, 1.5, 30.0, 2 * DAY)),
        address=choices.of(("", "A@Example.org")),
        message_type=choices.of(("", "campaign", "transactional", "of no kind we know")),
        code=choices.of((0, 421, 550)),
        enhanced_code=choices.of(("", "5.1.1")),
        machine=bool(flags & 1),
        unsubscribe_link=bool(flags & 2),
        one_click=bool(flags & 4),
        exhausted=bool(flags & 1),
    )
    if flags & 8:
        event.raw_partition, event.raw_offset = choices.of((-1, 0, 3)), choices.of(range(10_000))
    event.test = choices.of(range(20)) == 1
    return event


def a_declaration(choices: Choices, now: float, deliveries: Sequence[str]) -> Feedback:
    """Return what a sender says of a delivery about now: other windows, another freeze, start or message type."""
    return Feedback(
        event_id=f"declaration-{choices.of(range(8))}",
        recipient="",
        delivery_id=choices.of(deliveries),
        type="declared",
        source="sender",
        received_at=now - choices.of((0.0, 0.0, 30.0, DAY)),
        message_type=choices.of(("", "automation", "campaign", "of no kind we know")),
        declaration=Declaration(
            name="Spring sale",
            validity_hours=choices.of((None, 0.5, 1.0, 84.0, 2000.0)),
            statistics_update_period_days=choices.of((None, 0.25, 2.0, 10.0, 300.0)),
            start=choices.of((None, START, now, now + 5 * DAY, now - 20 * DAY)),
        ),
    )


def a_history(codes: list[int], recipients: Sequence[str], deliveries: Sequence[str]) -> list[Feedback]:
    """Return events and ticks over weeks, in the order of their arrival, or nearly so, some of them twice."""
    now = START
    made: list[Feedback] = []
    for code in codes:
        choices = Choices(code)
        now += choices.of(STEPS)
        what = choices.of(range(10))
        if what == 1:
            made.append(tick(now))
        elif what == 2 and made:
            made.append(replace(choices.of(made), received_at=now))
        elif what == 3:
            made.append(a_declaration(choices, now, deliveries))
        else:
            made.append(an_event(choices, now, recipients, deliveries))
    return made


def fold(partition: Partition, history: list[Feedback], splits: set[int], restarts: set[int]) -> None:
    """Fold a history in batches that end before some numbers; after some batches, the worker changes."""
    records = partition.write(history)
    bounds = sorted({0, len(records), *(split for split in splits if split < len(records))})
    for number, (start, end) in enumerate(pairwise(bounds)):
        partition.take(records[start:end])
        if number in restarts:
            partition.restart()


codes = st.lists(st.integers(0, 1 << 80), min_size=1, max_size=80)
splits = st.sets(st.integers(1, 80), max_size=8)
restarts = st.sets(st.integers(0, 7), max_size=3)
everyone = ("a@example.org", "b@example.org", ""), ("d1", "d2", "")
one_row = ("a@example.org",), ("d",)


@pytest.mark.parametrize("who", [everyone, one_row], ids=["everyone", "one row"])
@pytest.mark.parametrize("days", [(30, 120), (3, 6)], ids=["long", "short"])
@given(codes, splits, restarts)
def test_any_history_in_any_batches_gives_the_same_rows_and_kpis(
    days: tuple[int, int],
    who: tuple[Sequence[str], Sequence[str]],
    codes: list[int],
    splits: set[int],
    restarts: set[int],
) -> None:
    partition = Partition(statistics_update_period_days=days[0], retention_days=days[1])
    fold(partition, a_history(codes, *who), splits, restarts)
    assert [] == partition.differences(contacts=False)


@pytest.mark.parametrize("who", [everyone, one_row], ids=["everyone", "one row"])
@pytest.mark.parametrize("days", [(30, 120), (3, 6)], ids=["long", "short"])
@given(codes, splits, restarts)
def test_any_history_in_any_batches_gives_the_same_contacts(
    days: tuple[int, int],
    who: tuple[Sequence[str], Sequence[str]],
    codes: list[int],
    splits: set[int],
    restarts: set[int],
) -> None:
    partition = Partition(statistics_update_period_days=days[0], retention_days=days[1])
    fold(partition, a_history(codes, *who), splits, restarts)
    assert [] == partition.differences()
