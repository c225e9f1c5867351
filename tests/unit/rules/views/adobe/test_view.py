"""Adobe Campaign: every cell of the policy table of `docs/domain.md §5.1`, and what the reports are made of."""

from collections.abc import Sequence
from typing import NamedTuple

import pytest

from aftersend.rules.recipient.facts import Fact
from aftersend.rules.recipient.statuses import STATUSES
from aftersend.rules.views import VIEWS
from aftersend.rules.views.adobe.view import POLICIES, DeliveryStage, stage_of
from aftersend.schemas.event import NOT_SENT_REASONS, FoldEvent
from tests.unit.rules.factories import DAY, event
from tests.unit.rules.views.factories import OVER, bucket, counts, history, movements, report, row_of, status

TAKEN = "Taken into account by the service provider"
POLICY_NAMES = ("without-efs", "efs", "v8", "enhanced-mta")


class Case(NamedTuple):
    """One row of the table: what happens, and by policy the status and the movement of both percentages."""

    step: str
    #: Histories before; the last of each is the step itself.
    histories: Sequence[tuple[str, ...]]
    #: Status, movement of % delivered, movement of % bounces + errors, in the order of `POLICY_NAMES`.
    cells: tuple[tuple[str, int, int], ...]


#: The messages are relayed already, but for the first row.
TABLE = [
    Case(
        "relayed to the MTA",
        [("planned", "sent"), ("ready", "sent")],
        (("Sent", 1, 0), ("Pending", 0, 0), (TAKEN, 0, 0), ("Sent", 1, 0)),
    ),
    Case(
        "delivery confirmed",
        [("sent", "delivered"), ("sent", "opened"), ("sent", "clicked"), ("sent", "complained")],
        (("Sent", 0, 0), ("Sent", 1, 0), ("Sent", 1, 0), ("Sent", 0, 0)),
    ),
    Case(
        "hard bounce",
        [("sent", "hard_bounce"), ("sent", "rejected"), ("sent", "invalid_address"), ("sent", "failed")],
        (("Failed", -1, 1), ("Failed", 0, 1), ("Failed", 0, 1), ("Failed", -1, 1)),
    ),
    Case(
        "hard bounce after the delivery",
        [("sent", "delivered", "hard_bounce"), ("sent", "opened", "hard_bounce")],
        (("Failed", -1, 1), ("Failed", 0, 1), ("Failed", 0, 1), ("Failed", -1, 1)),
    ),
    Case(
        "soft bounce",
        [("sent", "deferred"), ("sent", "soft_bounce")],
        (("Sent", 0, 0), ("Failed", 0, 1), (TAKEN, 0, 0), ("Sent", 0, 0)),
    ),
    Case(
        "another soft bounce",
        [("sent", "deferred", "deferred"), ("sent", "deferred", "soft_bounce"), ("sent", "soft_bounce", "deferred")],
        (("Sent", 0, 0), ("Failed", 0, 0), (TAKEN, 0, 0), ("Sent", 0, 0)),
    ),
    Case(
        "retry succeeds",
        [("sent", "deferred", "delivered"), ("sent", "soft_bounce", "delivered"), ("sent", "deferred", "opened")],
        (("Sent", 0, 0), ("Sent", 1, -1), ("Sent", 1, 0), ("Sent", 0, 0)),
    ),
    Case(
        "retries exhausted",
        [("sent", "deferred", OVER), ("sent", "soft_bounce", OVER), ("sent", "deferred", "soft_bounce", OVER)],
        (("Failed", -1, 1), ("Failed", 0, 0), ("Failed", 0, 1), ("Failed", -1, 1)),
    ),
    # Choices, since the table has no row for them.
    Case(
        "a retry that succeeds when the validity period is over",
        [("sent", "soft_bounce", OVER, "delivered")],
        (("Sent", 1, -1), ("Sent", 1, -1), ("Sent", 1, -1), ("Sent", 1, -1)),
    ),
    Case(
        "the validity period is over and nothing was ever heard",
        [("sent", OVER)],
        (("Sent", 0, 0), ("Failed", 0, 1), ("Failed", 0, 1), ("Sent", 0, 0)),
    ),
    Case(
        "an outcome that cannot be known",
        [("sent", "unknown")],
        (("Sent", 0, 0), ("Failed", 0, 1), ("Failed", 0, 1), ("Sent", 0, 0)),
    ),
    Case(
        "an event that nobody understands when the retries are exhausted",
        [("sent", "soft_bounce", OVER, "something new")],
        (("Failed", 0, 0), ("Failed", 0, 0), ("Failed", 0, 0), ("Failed", 0, 0)),
    ),
    Case(
        "an operator takes it out of the queue",
        [("sent", "not_sent")],
        (("Failed", -1, 1), ("Failed", 0, 1), ("Failed", 0, 1), ("Failed", -1, 1)),
    ),
    Case(
        "a second word after a final one",
        [("sent", "hard_bounce", "soft_bounce"), ("sent", "hard_bounce", "hard_bounce"), ("sent", "failed", "sent")],
        (("Failed", 0, 0), ("Failed", 0, 0), ("Failed", 0, 0), ("Failed", 0, 0)),
    ),
]

CELLS = [
    pytest.param(policy, before, *case.cells[i], id=f"{policy}: {case.step} ({' '.join(before)})")
    for case in TABLE
    for before in case.histories
    for i, policy in enumerate(POLICY_NAMES)
]


@pytest.mark.parametrize("policy, steps, shown, delivered, errors", CELLS)
def test_the_policy_table(policy: str, steps: tuple[str, ...], shown: str, delivered: int, errors: int) -> None:
    """Status, and both movements, as counts and as the percentages of a delivery of four (of one, that is relayed)."""
    rows = history(*steps)
    others = [row_of("sent", "delivered"), row_of("sent"), row_of("sent", "hard_bounce")] if steps[0] == "sent" else []
    before, after = report(policy, rows[-2], *others), report(policy, rows[-1], *others)
    moved = VIEWS[policy].movement(bucket(rows[-2]), bucket(rows[-1]))

    assert shown == status(policy, *steps)
    assert (delivered, errors) == (moved.get("delivered", 0), moved.get("bounces_and_errors", 0))
    of = after.counts["sent"]
    assert len(others) + 1 == of
    assert delivered == of * (
        (after.rates["delivered_share"].value or 0) - (before.rates["delivered_share"].value or 0)
    )
    assert errors == of * (
        (after.rates["bounces_and_errors_share"].value or 0) - (before.rates["bounces_and_errors_share"].value or 0)
    )


def test_every_policy_of_the_table_is_there() -> None:
    assert POLICY_NAMES == tuple(policy.name for policy in POLICIES)
    assert all(set(DeliveryStage) == set(policy.results) for policy in POLICIES)


def test_percentages_at_the_start() -> None:
    """Relayed and nothing more: 100 % delivered without EFS, 0 % with it."""
    rows = [row_of("planned", "sent") for _ in range(3)]
    shares = {name: report(name, *rows).rates["delivered_share"].value for name in POLICY_NAMES}

    assert {"without-efs": 1.0, "efs": 0.0, "v8": 0.0, "enhanced-mta": 1.0} == shares


def test_a_correction_is_signed() -> None:
    """Case 5: soft bounce, then success. With EFS +1 and -1 on bounces + errors, and +1 on delivered."""
    steps = ("sent", "deferred", "delivered")
    of = ("delivered", "bounces_and_errors")
    moved = {name: [[m.get(n, 0) for n in of] for m in movements(name, *steps)[1:]] for name in POLICY_NAMES}

    assert [[0, 1], [1, -1]] == moved["efs"]
    assert [[0, 0], [0, 0]] == moved["without-efs"] == moved["enhanced-mta"]
    assert [[0, 0], [1, 0]] == moved["v8"]


@pytest.mark.parametrize("policy", POLICY_NAMES)
def test_what_was_left_out_is_neither_to_send_nor_sent(policy: str) -> None:
    left_out = counts(policy, "planned", event("not_sent", reason="unsubscribed"))

    assert {"audience": 1, "excluded": 1} == left_out


@pytest.mark.parametrize("policy", POLICY_NAMES)
def test_who_is_planned_is_to_send_and_pending(policy: str) -> None:
    assert "Pending" == status(policy, "planned") == status(policy, "planned", "ready")
    assert {"audience": 1, "to_send": 1} == counts(policy, "planned")


@pytest.mark.parametrize("policy", POLICY_NAMES)
def test_extra_copies_of_an_address_are_told_of_beside_the_one_that_was_sent(policy: str) -> None:
    actual = counts(policy, event("not_sent", reason="duplicate_address"), "sent", "delivered")

    assert {"audience": 1, "to_send": 1, "sent": 1, "delivered": 1, "duplicates": 1} == actual


def test_an_automatic_reply_shows_that_the_message_was_sent() -> None:
    assert "Pending" == status("efs", "autoresponded")
    assert 1 == counts("efs", "planned", "autoresponded")["sent"]


@pytest.mark.parametrize("policy", POLICY_NAMES)
def test_report_formulas(policy: str) -> None:
    """Numerators and denominators of the rates of `docs/domain.md §5.1`."""
    rows = [
        *(row_of("sent", "delivered") for _ in range(4)),
        *(row_of("sent", "delivered", "opened", "opened") for _ in range(2)),
        row_of("sent", "delivered", "clicked"),
        row_of("sent", "delivered", "opened", "clicked", "unsubscribed"),
        row_of("sent", "delivered", "opened", "complained"),
        row_of("sent", event("opened", machine=True)),
        row_of("sent", "hard_bounce"),
        row_of("sent", "invalid_address"),
        row_of("sent", "rejected"),
        row_of("sent", "deferred", OVER),
        row_of("planned", event("not_sent", reason="previously_bounced")),
    ]
    rates = {n: (r.numerator, r.denominator) for n, r in report(policy, *rows).rates.items()}

    assert {
        "delivered_share": (10, 14),
        "bounces_and_errors_share": (4, 14),
        "open_rate": (5, 10),
        "click_through_rate": (2, 10),
        "delivered_rate": (10, 10 + 4),
        "soft_bounce_rate": (1, 14),
        "hard_bounce_rate": (2, 14),
        "rejected_rate": (1, 14),
        "quarantine_rate": (2, 14),
        "denylist_rate": (1, 14),
        "unsubscribe_rate": (1, 10),
        "reactivity": (2, 5),
    } == rates


def test_a_rate_without_a_denominator_has_no_value() -> None:
    rate = report("efs", row_of("sent")).rates["open_rate"]

    assert (None, 0, "opens", 0, "delivered") == (
        rate.value,
        rate.numerator,
        rate.numerator_name,
        rate.denominator,
        rate.denominator_name,
    )


def test_a_sum_in_a_denominator_is_named() -> None:
    rate = report("efs", row_of("sent", "delivered", "hard_bounce")).rates["delivered_rate"]

    assert ("delivered + bounces_and_errors", 2, 0.5) == (rate.denominator_name, rate.denominator, rate.value)


def test_opens_by_machines_are_kept_apart() -> None:
    actual = counts("efs", "sent", event("opened", machine=True))

    assert (1, 0) == (actual["machine_opens"], actual.get("opens", 0))


def test_every_status_has_a_step() -> None:
    """Also those that no row can have with these facts."""
    steps = {stage_of(facts, s.number) for s in STATUSES for facts in (0, Fact.SENT, Fact.SENT | Fact.GIVEN_UP)}

    assert set(DeliveryStage) == steps


@pytest.mark.parametrize("reason", [r for r in NOT_SENT_REASONS if r != "duplicate_address"])
def test_every_reason_for_not_sending_excludes(reason: str) -> None:
    steps: list[str | FoldEvent] = ["planned", event("not_sent", reason=reason)]

    assert "Excluded" == status("efs", *steps)
    assert "Failed" == status("efs", "sent", event("not_sent", DAY, reason=reason)), "it had been relayed"
