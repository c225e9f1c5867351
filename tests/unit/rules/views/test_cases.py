"""The 21 cases of `docs/domain.md §9`, each on a real row and in the views that it concerns."""

from typing import Any

import pytest

from aftersend.rules.contact.fold import update
from aftersend.rules.contact.quarantine import address_status
from aftersend.rules.recipient.kinds import kind_of
from aftersend.rules.recipient.timing import timing
from aftersend.rules.views import VIEWS
from aftersend.rules.views.escala.card import card
from aftersend.schemas.contact import Contact
from aftersend.schemas.event import FoldEvent
from aftersend.sources.parsing.address import normalise
from aftersend.sources.parsing.bounce_classes import outcome
from tests.unit.rules.factories import DAY, HOUR, NUMBERS, START, event, folded
from tests.unit.rules.views.factories import OVER, counts, movements, report, row_of, status
from tests.unit.tables.factories import Partition, tick

ADOBE = ("without-efs", "efs", "v8", "enhanced-mta")


def shown(*steps: str | FoldEvent) -> dict[str, str]:
    """Return what each view shows of a row after some steps."""
    return {name: status(name, *steps) for name in VIEWS}


def moved(view: str, *steps: str | FoldEvent) -> tuple[int, int]:
    """Return what the last step does to delivered and to bounces + errors."""
    movement = movements(view, *steps)[-1]
    return movement.get("delivered", 0), movement.get("bounces_and_errors", 0)


def histograms(partition: Partition) -> tuple[dict[int, int], dict[int, int]]:
    """Return a delivery's histograms as the tables keep them."""
    partial = partition.store.partial("d")
    assert partial is not None
    return partial.buckets, partial.events


def status_now(partition: Partition, name: str) -> str:
    """Return what a view shows of the row that the tables keep."""
    row = partition.row()
    assert row is not None
    return VIEWS[name].status_of(row.facts, row.status).name


def counts_of(name: str, *steps: str) -> dict[str, int]:
    """Return all of a view's counts of a single row after some steps."""
    return report(name, row_of(*steps)).counts


def contact_after(*events: FoldEvent) -> Contact:
    contact: Contact | None = None
    for one in events:
        contact = update(contact, one, kind_of(one), one.received_at, 0) or contact
    assert contact is not None
    return contact


def test_case_1_open_click_complaint() -> None:
    """Complained, and delivered stays counted, everywhere."""
    steps = ("opened", "clicked", "complained")

    assert {"Sent"} == {shown(*steps)[name] for name in ADOBE}
    assert ("Spam complaint", "Marked as spam") == (shown(*steps)["creatio"], shown(*steps)["escala"])
    assert {1} == {counts(name, *steps)["delivered"] for name in VIEWS}
    assert ["delivered", "marked as spam"] == [line.notice for line in card(None, {"d": row_of(*steps)})]


def test_case_2_click_alone() -> None:
    """One unique open."""
    assert {1} == {counts(name, "clicked")["opens"] for name in (*ADOBE, "creatio")}
    assert 1 == counts("escala", "clicked")["opened"]


@pytest.mark.parametrize("name", VIEWS)
def test_case_3_a_click_on_the_unsubscribe_link_is_not_a_click(name: str) -> None:
    actual = counts(name, event("clicked", unsubscribe_link=True))

    assert not actual.keys() & {"clicks", "interacted"}


@pytest.mark.parametrize("name", VIEWS)
def test_case_4_delivered_after_complained(name: str) -> None:
    """Ignored as terminal_locked; the views show the same as before."""
    complained = row_of("complained")
    after = folded(event("delivered", 5), row=complained)

    assert ["terminal_locked"] == after.decisions
    assert report(name, complained) == report(name, after.row)


@pytest.mark.parametrize("failure", ["deferred", "soft_bounce"])
def test_case_5_soft_bounce_then_success(failure: str) -> None:
    first, second = ("sent", failure), ("sent", failure, "delivered")

    assert ((0, 1), (1, -1)) == (moved("efs", *first), moved("efs", *second))
    assert ((0, 0), (0, 0)) == (moved("without-efs", *first), moved("without-efs", *second))
    assert ((0, 0), (1, 0)) == (moved("v8", *first), moved("v8", *second)), "v8: only the reason, then the success"
    assert shown("sent")["v8"] == shown(*first)["v8"]


@pytest.mark.parametrize("failure", ["deferred", "soft_bounce"])
def test_case_6_soft_bounce_then_validity_over(failure: str) -> None:
    first, second = ("sent", failure), ("sent", failure, OVER)

    assert ("Failed", "Failed", (0, 0)) == (shown(*first)["efs"], shown(*second)["efs"], moved("efs", *second))
    assert ("Sent", "Failed") == (shown(*first)["without-efs"], shown(*second)["without-efs"])
    assert (-1, 1) == moved("without-efs", *second) == moved("enhanced-mta", *second)
    assert ("Failed", (0, 1)) == (shown(*second)["v8"], moved("v8", *second))


def test_an_mta_s_own_giving_up_ends_the_wait_at_once() -> None:
    gave_up = event("soft_bounce", 2, exhausted=True)

    assert {"Failed"} == {shown("sent", "deferred", gave_up)[name] for name in ADOBE}
    assert (-1, 1) == moved("without-efs", "sent", "deferred", gave_up)
    assert (0, 1) == moved("v8", "sent", "deferred", gave_up)
    assert (0, 0) == moved("efs", "sent", "deferred", gave_up), "it was Failed already"
    assert ("Soft bounce", "Bounced") == (shown("sent", gave_up)["creatio"], shown("sent", gave_up)["escala"])
    assert report("without-efs", row_of("sent", gave_up)) == report("without-efs", row_of("sent", gave_up, OVER))
    assert "Sent" == shown("sent", gave_up, "delivered")["without-efs"], "a success still counts"


def test_case_7_delivered_and_hard_bounce_on_day_6() -> None:
    steps = ("sent", "delivered", event("hard_bounce", 6 * DAY))

    assert "bounced_after_delivery" in folded(*steps).facts
    assert {"Failed"} == {shown(*steps)[name] for name in ADOBE}
    assert {"efs": (0, 1), "without-efs": (-1, 1)} == {n: moved(n, *steps) for n in ("efs", "without-efs")}
    assert (1, 1) == (counts("creatio", *steps)["delivered"], counts("creatio", *steps)["hard_bounces"])


@pytest.mark.parametrize("first, second", [("hard_bounce", "complained"), ("complained", "hard_bounce")])
def test_case_8_two_terminals_in_both_orders(first: str, second: str) -> None:
    """The first to arrive wins; the second is a fact."""
    both, alone = shown("sent", first, second), shown("sent", first)

    assert alone == both
    assert {"hard_bounced", "complained"} <= folded("sent", first, second).facts
    assert (1, 1) == tuple(counts("efs", "sent", first, second)[name] for name in ("quarantined", "denylisted"))


@pytest.mark.parametrize("name", VIEWS)
def test_case_9_the_same_event_46_times_over_29_hours(name: str) -> None:
    once = folded("sent", event("opened", 60, event_id="again"))
    often = folded("sent", *(event("opened", 60 + i * 29 * HOUR / 45, event_id="again") for i in range(46)))

    assert 45 == often.decisions.count("duplicate")
    assert report(name, once.row) == report(name, often.row)


def test_case_10_a_bounce_without_a_delivery_or_a_recipient() -> None:
    """Counted by its decision only: it is of no row that any view would show."""
    partition = Partition()
    partition.take(event("sent"), event("hard_bounce", 1, recipient=""), event("hard_bounce", 2, delivery_id=""))

    assert all(VIEWS[name].kpis(*histograms(partition)).counts == counts_of(name, "sent") for name in VIEWS)
    assert 1 == partition.kpis()["unattributed"]


def test_case_11_a_providers_id_that_comes_again_the_next_day() -> None:
    """Event ids are made of more than that (`aftersend.sources.parsing.event_ids`), so both count, by their rows."""
    first = folded("sent", event("delivered", 5, event_id="id of 1"))
    reused = folded("sent", event("delivered", 5 + DAY, event_id="id of 2", recipient="another@example.org"))

    assert 2 == report("efs", first.row, reused.row).counts["delivered"]


def test_case_12_a_provider_without_ids() -> None:
    """The same fields, the same id (`aftersend.sources.parsing.event_ids`): delivered again they are one event."""
    same: dict[str, Any] = {"event_id": "hash of the fields", "source": "unione"}
    result = folded(event("delivered", 1, **same), event("delivered", 2, **same))

    assert ["applied", "duplicate"] == result.decisions
    assert 1 == counts("efs", event("delivered", 1, **same), event("delivered", 2, **same))["delivered"]


@pytest.mark.parametrize("label", ["AutoReply", "Subscribe", "Unsubscribe", "ChallengeResponse"])
def test_case_13_bounces_that_are_no_delivery_failures(label: str) -> None:
    """SparkPost's classes 60, 80, 90 and 100, by the names that the sources share."""
    type_, _ = outcome(label, 0, None)
    actual = shown("sent", "delivered", type_)

    assert {"Sent"} == {actual[name] for name in ADOBE}
    assert not {actual["creatio"], actual["escala"]} & {"Soft bounce", "Hard bounce", "Bounced", "Delivery error"}
    assert (0, 0) == moved("efs", "sent", "delivered", type_)


def test_case_14_an_unknown_error_code() -> None:
    """Of a failure: the address is not given up for it. Of an event: it changes nothing."""
    type_, name = outcome(None, 599, None)

    assert ("soft_bounce", "Uncategorized") == (type_, name)
    assert ("Soft bounce", "Failed") == (shown("sent", type_)["creatio"], shown("sent", type_)["efs"])
    assert shown("sent") == shown("sent", "a type of next year")
    assert shown("sent", "delivered") == shown("sent", "delivered", "a type of next year")


def test_case_15_one_address_in_two_spellings() -> None:
    first, second = normalise("Jane@Example.ORG"), normalise("jane@example.org")
    row = row_of(event("sent", recipient=first, address="Jane@Example.ORG"), event("delivered", 1, recipient=second))

    assert first == second
    assert {"Jane@Example.ORG"} == {(view.logs[0].line(first, row) or {})["address"] for view in VIEWS.values()}
    assert {1} == {report(name, row).counts["audience"] for name in VIEWS}


@pytest.mark.parametrize("name", VIEWS)
def test_case_16_one_address_twice_in_a_delivery(name: str) -> None:
    """The extra copy is told of; the first goes its way, and counts once."""
    copy = event("not_sent", 1, reason="duplicate_address")
    with_copy, without = counts(name, "sent", copy, "delivered"), counts(name, "sent", "delivered")

    assert without == {count: number for count, number in with_copy.items() if count != "duplicates"}
    assert status(name, "sent", "delivered") == status(name, "sent", copy, "delivered")


@pytest.mark.parametrize("hours", [48, 84])
def test_case_17_no_feedback(hours: int) -> None:
    """48 hours, or 3.5 days of Adobe's MTA; by a tick, without any further event."""
    partition = Partition(times=timing(numbers=NUMBERS, windows={"kumomta": hours * HOUR}))
    partition.take(event("sent"))
    partition.take(tick(hours * HOUR - 1))
    waiting = [status_now(partition, name) for name in VIEWS]
    partition.take(tick(hours * HOUR))

    taken = "Taken into account by the service provider"
    assert ["Sent", "Pending", taken, "Sent", "Sent to provider", "Sent"] == waiting
    assert ["Sent", "Failed", "Failed", "Sent", "Unknown response", "No feedback"] == [
        status_now(partition, name) for name in VIEWS
    ]


@pytest.mark.parametrize("name", VIEWS)
def test_case_18_an_event_after_the_freeze(name: str) -> None:
    """Statuses and KPIs no longer change."""
    partition = Partition()
    partition.take(event("sent"), event("delivered", 1))
    before = VIEWS[name].kpis(*histograms(partition))
    partition.take(event("hard_bounce", 31 * DAY), event("opened", 31 * DAY), event("complained", 31 * DAY))

    assert before == VIEWS[name].kpis(*histograms(partition))
    assert 3 == partition.kpis()["late"]


def test_case_19_machine_open_then_human_open() -> None:
    """Unique opens 1, machine 1."""
    steps = event("opened", machine=True), event("opened", 1)

    assert {(1, 1)} == {
        (counts(name, *steps)["opens"], counts(name, *steps)["machine_opens"]) for name in (*ADOBE, "creatio")
    }
    assert {(0, 1)} == {
        (actual.get("opens", 0), actual["machine_opens"])
        for actual in (counts(name, steps[0]) for name in (*ADOBE, "creatio"))
    }


def test_case_20_five_hard_bounces_in_a_row_against_four_and_another_reason() -> None:
    """Of deliveries of their own; each is a hard bounce in its view all the same."""
    bounces = [event("hard_bounce", i * DAY, delivery_id=f"d{i}", reason="InvalidRecipient") for i in range(5)]
    other = event("hard_bounce", 4 * DAY, delivery_id="d4", reason="BadDomain")

    assert (False, True) == (contact_after(*bounces).valid, contact_after(*bounces[:4], other).valid)
    assert {"Hard bounce"} == {status("creatio", one) for one in (*bounces, other)}


def test_case_21_two_soft_errors_23_hours_apart_count_once() -> None:
    """Of the address; the two deliveries fail all the same."""
    first, second = event("soft_bounce"), event("soft_bounce", 23 * HOUR, delivery_id="e")
    later = event("soft_bounce", 24 * HOUR, delivery_id="f")

    assert (1, 2) == (contact_after(first, second).errors, contact_after(first, second, later).errors)
    assert "erroneous" == address_status(contact_after(first, second), START + DAY).state
    assert 2 == report("efs", row_of(first), row_of(second)).counts["bounces_and_errors"]
