"""What must hold in every view, whatever happens to a row and in whatever order."""

from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aftersend.rules.kpi.indicators import kpis
from aftersend.rules.recipient.facts import FACT_NAMES
from aftersend.rules.recipient.fold import expire, expires_at
from aftersend.rules.recipient.statuses import STATUSES
from aftersend.rules.views import VIEWS
from aftersend.schemas.event import EVENT_TYPES, NOT_SENT_REASONS, FoldEvent
from aftersend.schemas.packing import pack_bucket
from aftersend.schemas.recipient import Row
from tests.unit.rules.factories import WINDOWS, event, folded
from tests.unit.rules.recipient.test_fold_properties import NON_TERMINAL, some_events
from tests.unit.rules.views.factories import OVER, bucket, cells, history, report

ADOBE = ("without-efs", "efs", "v8", "enhanced-mta")

OUTCOMES_OF_RANK_T = ("hard_bounce", "rejected", "invalid_address", "failed")

some_steps = st.lists(
    st.one_of(
        st.sampled_from([*(t for t in EVENT_TYPES if t not in {"tick", "released", "declared"}), OVER]),
        st.builds(event, st.just("not_sent"), st.just(1.0), reason=st.sampled_from(NOT_SENT_REASONS)),
        st.builds(event, st.sampled_from(["opened", "clicked"]), st.just(1.0), machine=st.just(value=True)),
        st.builds(event, st.just("clicked"), st.just(1.0), unsubscribe_link=st.just(value=True)),
        st.builds(event, st.just("soft_bounce"), st.just(1.0), exhausted=st.just(value=True)),
        st.builds(event, st.just("unsubscribed"), st.just(1.0), one_click=st.just(value=True)),
    ),
    min_size=1,
    max_size=10,
)
any_cells = st.dictionaries(
    st.builds(pack_bucket, st.sampled_from([s.number for s in STATUSES]), st.integers(0, (1 << len(FACT_NAMES)) - 1)),
    st.integers(1, 10**6),
    max_size=10,
)


@pytest.mark.parametrize("name", VIEWS)
@given(some_steps)
def test_every_class_that_a_row_can_reach_has_a_status(name: str, steps: list[str | FoldEvent]) -> None:
    view = VIEWS[name]

    assert {view.status_of(row.facts, row.status).name for row in history(*steps)} <= set(view.statuses)


@pytest.mark.parametrize("name", VIEWS)
@given(any_cells)
def test_the_sum_over_statuses_is_the_audience(name: str, histogram: dict[int, int]) -> None:
    actual = VIEWS[name].kpis(histogram, {})

    assert sum(histogram.values()) == sum(actual.statuses.values()) == actual.counts["audience"]


@given(any_cells)
def test_sent_is_the_same_number_in_the_kpis_and_in_every_view(histogram: dict[int, int]) -> None:
    expected = kpis(histogram, {})["sent"]

    assert dict.fromkeys(VIEWS, expected) == {name: VIEWS[name].kpis(histogram, {}).counts["sent"] for name in VIEWS}


@pytest.mark.parametrize("outcome", ["deferred", "delivered", "soft_bounce", *OUTCOMES_OF_RANK_T])
def test_an_outcome_without_a_record_of_reception_counts_as_sent(outcome: str) -> None:
    assert 1 == kpis(cells(history(outcome)[-1:]), {})["sent"]


@pytest.mark.parametrize("name", VIEWS)
@given(st.lists(some_steps, max_size=6))
def test_nobody_is_counted_twice_and_shares_are_shares(name: str, stories: list[list[str | FoldEvent]]) -> None:
    actual = report(name, *(history(*steps)[-1] for steps in stories))

    assert all(0 <= number <= actual.counts["audience"] for number in actual.counts.values())
    assert actual.counts["delivered"] <= actual.counts["sent"]
    for rate in actual.rates.values():
        assert rate.value == (rate.numerator / rate.denominator if rate.denominator else None)


@given(st.lists(some_steps, max_size=6))
def test_delivered_and_not_delivered_of_creatio_do_not_overlap(stories: list[list[str | FoldEvent]]) -> None:
    counts = report("creatio", *(history(*steps)[-1] for steps in stories)).counts

    assert counts["delivered"] + counts["not_delivered"] <= counts["audience"]


@pytest.mark.parametrize("name", VIEWS)
@given(some_steps)
def test_movements_add_up_to_what_is_counted(name: str, steps: list[str | FoldEvent]) -> None:
    """Signed: what a row takes off is what it had added."""
    rows = history(*steps)
    view = VIEWS[name]
    total = dict.fromkeys((count.name for count in view.counts), 0)
    classes = [None, *(bucket(row) for row in rows[1:])]
    for before, after in pairwise(classes):
        for count, moved in view.movement(before, after).items():
            total[count] += moved

    assert view.kpis(cells(rows[-1:]), {}).counts == total
    gone = view.movement(classes[-1], None)
    assert {0} == {number + gone.get(count, 0) for count, number in total.items()}


@pytest.mark.parametrize("name", VIEWS)
@given(st.data())
def test_any_order_and_any_duplication_of_non_terminal_events_gives_the_same_view(
    name: str, data: st.DataObject
) -> None:
    events = data.draw(some_events(NON_TERMINAL, 8))
    repeats = data.draw(st.lists(st.sampled_from(events), max_size=5))
    straight = folded(*events)
    shuffled = folded(*data.draw(st.permutations(events + repeats)))

    def view_of(row: Row) -> object:
        return report(name, row), VIEWS[name].status_of(row.facts, row.status)

    assert view_of(straight.row) == view_of(shuffled.row)


# ----------------------------------------------------------------------------- the policy table, told a second time


@dataclass
class Recipient:
    """What the table of `docs/domain.md §5.1` says of a recipient, event by event; no facts, no ranks."""

    policy: str
    relayed: bool = False
    #: A final word has been said.
    final: bool = False
    delivered: bool = False
    #: A temporary failure is the last that was heard: "deferred" is final when the validity is over.
    temporary: str = ""
    exhausted: bool = False
    failed: bool = False

    def take(self, step: str) -> None:
        """Take what happened next."""
        if step == OVER:
            self._validity_over()
        elif step in {"deferred", "soft_bounce"}:
            self.relayed = True
            if not self.final and not self.delivered:
                self.temporary = "soft_bounce" if "soft_bounce" in {step, self.temporary} else "deferred"
        elif step in {"delivered", "opened", "clicked", "unsubscribed", "complained"}:
            self.relayed = self.delivered = True
            if not self.final:
                self.temporary, self.exhausted = "", False
                self.final = step in {"unsubscribed", "complained"}
        elif step in {"hard_bounce", "rejected", "invalid_address", "failed"}:
            self.relayed = True
            if not self.final:
                self.failed = self.final = True
        else:
            self.relayed = True  # sent

    def _validity_over(self) -> None:
        if self.final or not self.relayed or self.delivered:
            return
        self.exhausted = bool(self.temporary)
        self.final = self.temporary != "soft_bounce"
        if self.final and not self.temporary:  # choice: nothing was ever heard
            self.failed = self.policy in {"efs", "v8"}

    def counts(self) -> tuple[int, int, int]:
        """Return messages sent, delivered (or Success) and bounces + errors."""
        bounced = self.failed or self.exhausted or (self.policy == "efs" and bool(self.temporary))
        if self.policy in {"efs", "v8"}:
            return self.relayed, self.delivered, bounced
        return self.relayed, self.relayed and not bounced, bounced

    def status(self) -> str:
        """Return what the sending log shows."""
        if self.counts()[2]:
            return "Failed"
        if not self.relayed:
            return "Pending"
        if self.policy in {"without-efs", "enhanced-mta"} or self.delivered:
            return "Sent"
        return "Pending" if self.policy == "efs" else "Taken into account by the service provider"


STEPS = (
    *("sent", "deferred", "soft_bounce", "delivered", "opened", "clicked", "unsubscribed", "complained"),
    *("hard_bounce", "rejected", "invalid_address", "failed", OVER),
)


@pytest.mark.parametrize("policy", ADOBE)
@given(steps=st.lists(st.sampled_from(STEPS), max_size=12))
def test_percentages_move_exactly_as_the_table_says(policy: str, steps: list[str]) -> None:
    """For random histories, step by step."""
    recipient = Recipient(policy)
    before: int | None = None
    view = VIEWS[policy]
    for step, row in zip(steps, history(*steps)[1:], strict=True):
        was = recipient.counts()
        recipient.take(step)
        moved = tuple(now - then for now, then in zip(recipient.counts(), was, strict=True))
        after = bucket(row)
        movement = view.movement(before, after)

        assert moved == tuple(movement.get(name, 0) for name in ("sent", "delivered", "bounces_and_errors"))
        assert recipient.status() == view.status_of(row.facts, row.status).name
        before = after


@given(some_steps)
def test_an_end_of_a_wait_is_the_end_of_no_other(steps: list[str | FoldEvent]) -> None:
    """What the histories above end is what the fold lets wait."""
    row = history(*steps)[-1]
    expiry = expires_at(row, WINDOWS)
    if expiry is not None:
        expire(row, expiry)

    assert expires_at(row, WINDOWS) is None
