"""KPIs as sums over histograms."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aftersend.rules.kpi.indicators import INDICATORS, RATES, ROW_KPIS, TOTALS, events_by_name, kpis, merged, statuses
from aftersend.rules.recipient.decisions import DECISION_NAMES, Decision
from aftersend.rules.recipient.facts import FACT_NAMES
from aftersend.rules.recipient.kinds import EXPIRED, KIND_NUMBER, KINDS
from aftersend.rules.recipient.statuses import STATUS_NAMES, STATUSES
from aftersend.schemas.event import FoldEvent
from aftersend.schemas.packing import pack_bucket, pack_event_counter
from tests.unit.rules.factories import DAY, event, folded

buckets = st.dictionaries(
    st.builds(pack_bucket, st.sampled_from([s.number for s in STATUSES]), st.integers(0, (1 << len(FACT_NAMES)) - 1)),
    st.integers(1, 10**9),
    max_size=20,
)
keys = st.builds(pack_event_counter, st.integers(0, 63), st.sampled_from([k.number for k in KINDS]), st.integers(0, 6))
histograms = st.dictionaries(keys, st.integers(1, 10**9), max_size=20)

#: What happened to one recipient, and every KPI of recipients that counts it beside `audience`.
JOURNEYS = [
    (("planned",), ()),
    (("planned", "ready"), ()),
    (("sent",), ("sent",)),
    (("deferred",), ("sent", "deferred")),
    (("sent", "soft_bounce"), ("sent", "soft_bounced")),
    (("delivered",), ("sent", "delivered")),
    (("opened",), ("sent", "delivered", "unique_opens", "unique_human_opens")),
    (("clicked",), ("sent", "delivered", "unique_opens", "unique_clicks")),
    (("opened", "opened", "clicked"), ("sent", "delivered", "unique_opens", "unique_human_opens", "unique_clicks")),
    (("unsubscribed",), ("sent", "delivered", "unsubscribed", "unique_opens")),
    (("complained",), ("sent", "delivered", "complained")),
    (("hard_bounce",), ("sent", "hard_bounced")),
    (("delivered", "hard_bounce"), ("sent", "delivered", "hard_bounced", "bounced_after_delivery")),
    (("rejected",), ("sent", "rejected")),
    (("invalid_address",), ("sent", "invalid_address")),
    (("failed",), ("sent", "failed")),
    (("something new",), ()),
    (("sent", "autoresponded"), ("sent", "autoresponded")),
    (("not_sent",), ("not_sent",)),
]


def of(*types: str) -> dict[str, int]:
    """Return the KPIs, those that are not 0, of a delivery to one recipient."""
    result = folded(*types)
    counted = {key: len(list(group)) for key, group in itertools.groupby(sorted(result.counted))}
    return {name: n for name, n in kpis({pack_bucket(result.row.status, result.row.facts): 1}, counted).items() if n}


@pytest.mark.parametrize("types, names", JOURNEYS)
def test_what_counts_whom(types: tuple[str, ...], names: tuple[str, ...]) -> None:
    of_recipients = {name: n for name, n in of(*types).items() if name in {i.name for i in INDICATORS}}

    assert dict.fromkeys(("audience", *names), 1) == of_recipients


def test_a_machine_open_and_then_a_human_one() -> None:
    """Case 19: unique opens 1, machine 1, and both kinds of totals."""
    result = folded(event("opened", machine=True), event("opened", 1), event("opened", 2))
    actual = kpis({pack_bucket(result.row.status, result.row.facts): 1}, dict.fromkeys(result.counted, 1))

    assert (1, 1, 1, 0) == (
        actual["unique_opens"],
        actual["unique_human_opens"],
        actual["unique_machine_opens"],
        actual["unique_machine_opens_only"],
    )
    assert (2, 1) == (actual["total_opens"], actual["total_machine_opens"])


def test_opens_by_machines_only_are_told_apart() -> None:
    result = folded(event("opened", machine=True), event("clicked", 1, machine=True))
    actual = kpis({pack_bucket(result.row.status, result.row.facts): 1}, {})

    assert (0, 1, 1, 1) == (
        actual["unique_opens"],
        actual["unique_machine_opens"],
        actual["unique_machine_opens_only"],
        actual["unique_machine_clicks"],
    )


def test_unique_and_total_are_kept_apart() -> None:
    actual = of("opened", "opened", "clicked", "clicked", "clicked")

    assert (1, 2, 1, 3) == (
        actual["unique_human_opens"],
        actual["total_opens"],
        actual["unique_clicks"],
        actual["total_clicks"],
    )


def test_a_click_on_the_unsubscribe_link_counts_as_no_click() -> None:
    """Case 3. But who finds that link has opened the message."""
    result = folded(event("clicked", unsubscribe_link=True))
    actual = kpis({pack_bucket(result.row.status, result.row.facts): 1}, dict.fromkeys(result.counted, 1))

    assert (0, 0, 1) == (actual["unique_clicks"], actual["total_clicks"], actual["total_unsubscribe_link_clicks"])
    assert (1, 0) == (actual["unique_opens"], actual["unique_human_opens"])


UNSUBSCRIBES = [
    ((event("unsubscribed"),), 1),
    ((event("unsubscribed", one_click=True),), 0),
    ((event("opened"), event("unsubscribed", 1, one_click=True)), 1),
    ((event("clicked", machine=True), event("unsubscribed", 1, one_click=True)), 0),
    ((event("clicked", machine=True, unsubscribe_link=True),), 0),
]


@pytest.mark.parametrize("events, opens", UNSUBSCRIBES)
def test_an_unsubscribe_implies_an_open_unless_by_the_one_click_header(
    events: tuple[FoldEvent, ...], opens: int
) -> None:
    result = folded(*events)

    assert opens == kpis({pack_bucket(result.row.status, result.row.facts): 1}, {})["unique_opens"]


def test_extra_copies_of_an_address_are_told_apart() -> None:
    """Their recipient was sent to all the same, once."""
    result = folded(event("sent"), event("not_sent", 1, reason="duplicate_address"), event("delivered", 2))
    actual = kpis({pack_bucket(result.row.status, result.row.facts): 1}, {})

    assert (1, 0, 1, 1) == tuple(actual[n] for n in ("duplicate_address", "not_sent", "delivered", "audience"))


def test_a_complaint_never_lowers_what_was_delivered() -> None:
    """KPIs come from facts."""
    assert 1 == of("delivered", "complained")["delivered"]


NOT_COUNTED = [Decision.DUPLICATE, Decision.LATE, Decision.TEST, Decision.UNATTRIBUTED]


@pytest.mark.parametrize("decision", range(len(DECISION_NAMES)))
def test_totals_count_what_is_no_duplicate_late_or_a_test(decision: int) -> None:
    actual = kpis({}, {pack_event_counter(1, KIND_NUMBER["opened"], decision): 3})

    assert (0 if decision in NOT_COUNTED else 3) == actual["total_opens"]
    assert 3 == actual[DECISION_NAMES[decision]]
    assert 3 == sum(actual[name] for name in DECISION_NAMES)


def test_an_expiry_is_no_event_of_anybody() -> None:
    actual = kpis({}, {pack_event_counter(1, EXPIRED, Decision.APPLIED): 3})

    assert 0 == actual["applied"]


def test_an_expired_row_is_counted_as_such() -> None:
    result = folded(event("sent"), event("autoresponded", 3 * DAY))
    actual = kpis({pack_bucket(result.row.status, result.row.facts): 1}, {})

    assert (1, 1) == (actual["sent"], actual["expired"])
    assert {"unknown": 1} == statuses({pack_bucket(result.row.status, result.row.facts): 1})


@given(buckets)
def test_the_sum_over_statuses_is_the_audience(histogram: dict[int, int]) -> None:
    actual = statuses(histogram)

    assert kpis(histogram, {})["audience"] == sum(actual.values())
    assert actual.keys() <= {"none", *STATUS_NAMES}


@given(buckets)
def test_nobody_is_counted_twice(histogram: dict[int, int]) -> None:
    actual = kpis(histogram, {})

    assert all(actual[indicator.name] <= actual["audience"] for indicator in INDICATORS)


@given(histograms)
def test_every_event_is_counted_by_one_decision(histogram: dict[int, int]) -> None:
    actual = kpis({}, histogram)
    events = sum(count for key, count in histogram.items() if key >> 4 & 255 != EXPIRED)

    assert events == sum(actual[name] for name in DECISION_NAMES)


@given(buckets, buckets, histograms, histograms)
def test_the_kpis_of_two_partitions_add_up(
    one: dict[int, int], other: dict[int, int], events: dict[int, int], others: dict[int, int]
) -> None:
    """So a partition's partial is all that anybody needs to keep."""
    added = {name: n + kpis(other, others)[name] for name, n in kpis(one, events).items()}

    assert added == kpis(merged(one, other), merged(events, others))


def test_merging_drops_what_came_to_nothing() -> None:
    """A row that moves on leaves no trace in the class it came from."""
    assert {2: 1} == merged({1: 1}, {1: -1, 2: 1})
    assert {1: 1, 2: 1} == merged({1: 1}, {2: 1})


@given(histograms)
def test_events_are_told_by_their_names(histogram: dict[int, int]) -> None:
    actual = events_by_name(histogram, {i: f"source {i}" for i in range(60)})
    leaves = [n for kinds in actual.values() for decisions in kinds.values() for n in decisions.values()]

    assert sorted(histogram.values()) == sorted(leaves)
    assert all(source.removeprefix("source ").isdigit() for source in actual), "a number where there is no name"


def test_rates_are_of_kpis_that_exist() -> None:
    """Every rate is shipped with its numerator and denominator."""
    for rate in RATES:
        assert {rate.numerator, rate.denominator} <= set(ROW_KPIS)


def test_no_name_is_given_twice() -> None:
    names = [*(i.name for i in INDICATORS), *(t.name for t in TOTALS), *DECISION_NAMES]

    assert len(names) == len(set(names))
    assert len(RATES) == len({rate.name for rate in RATES})
