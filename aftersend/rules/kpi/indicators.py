"""KPIs as data: what to count, over which rows or events (`docs/domain.md §4`).

A delivery's rows are stored as a histogram: how many rows are in which bucket (status, facts). Every count of
recipients is a sum over that histogram. So a new KPI is one more line in `INDICATORS`, adds no work for an event, and
covers past deliveries too. Totals (every open, every click) and decisions are sums over the histogram of events.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

import msgspec

from aftersend.rules.recipient.decisions import COUNTED, DECISION_NAMES
from aftersend.rules.recipient.facts import HANDED_OVER, Fact
from aftersend.rules.recipient.kinds import (
    CLICKED,
    CLICKED_MACHINE,
    CLICKED_UNSUBSCRIBE_LINK,
    EXPIRED,
    KIND_NAME,
    OPENED,
    OPENED_MACHINE,
)
from aftersend.rules.recipient.statuses import STATUS_NAME, STATUS_NAMES
from aftersend.schemas.kpi import KpiPartial
from aftersend.schemas.packing import unpack_bucket, unpack_event_counter


class Indicator(NamedTuple):
    """A number of recipients: rows with any of some facts and none of others."""

    name: str
    #: 0: every row.
    any_of: int
    meaning: str
    none_of: int = 0
    #: (facts, exceptions): a row with any of these facts counts too, unless it has one of the exceptions.
    also: tuple[int, int] = (0, 0)

    def counts(self, facts: int) -> bool:
        """Return whether a row with these facts counts."""
        also, unless = self.also
        if facts & also and not facts & unless:
            return True
        return (not self.any_of or bool(facts & self.any_of)) and not facts & self.none_of


INDICATORS: Final = (
    Indicator("audience", 0, "recipients with at least one event, test messages excluded"),
    Indicator("sent", HANDED_OVER, "handed to the provider or MTA, said or implied by any outcome"),
    Indicator("delivered", Fact.DELIVERED, "reached the mailbox at some time, said or implied"),
    Indicator("deferred", Fact.DEFERRED, "had at least one temporary failure"),
    Indicator("soft_bounced", Fact.SOFT_BOUNCED, "had at least one soft bounce"),
    Indicator("hard_bounced", Fact.HARD_BOUNCED, "bounced for good"),
    Indicator("bounced_after_delivery", Fact.BOUNCED_AFTER_DELIVERY, "hard bounce after having been delivered"),
    Indicator("rejected", Fact.REJECTED, "refused by the provider"),
    Indicator("invalid_address", Fact.INVALID_ADDRESS, "the address can't exist"),
    Indicator("failed", Fact.FAILED, "delivery errors of another kind"),
    Indicator("expired", Fact.EXPIRED, "no outcome within the source's window"),
    Indicator("not_sent", Fact.NOT_SENT | Fact.VALIDITY_OVER, "left out before sending, or not sent in time"),
    Indicator("duplicate_address", Fact.DUPLICATE_ADDRESS, "more than once in the audience; extra copies left out"),
    Indicator("unknown", Fact.UNKNOWN, "had an event of a type that is not known"),
    Indicator(
        "unique_opens",
        Fact.OPENED | Fact.CLICKED | Fact.UNSUBSCRIBE_LINK,
        "opened by a human; a click counts as an open, and so does an unsubscribe unless by the one-click header",
        also=(Fact.UNSUBSCRIBED, Fact.ONE_CLICK),
    ),
    Indicator("unique_human_opens", Fact.OPENED, "at least one open by a human"),
    Indicator("unique_machine_opens", Fact.OPENED_MACHINE, "at least one open by a machine"),
    Indicator(
        "unique_machine_opens_only",
        Fact.OPENED_MACHINE,
        "opened by machines and never by a human",
        none_of=Fact.OPENED | Fact.CLICKED | Fact.UNSUBSCRIBE_LINK,
    ),
    Indicator("unique_clicks", Fact.CLICKED, "clicked, the unsubscribe link excluded"),
    Indicator("unique_machine_clicks", Fact.CLICKED_MACHINE, "at least one click by a machine"),
    Indicator("unsubscribed", Fact.UNSUBSCRIBED, "unsubscribed, in any way"),
    Indicator("unsubscribed_one_click", Fact.ONE_CLICK, "unsubscribed by the one-click header"),
    Indicator("complained", Fact.COMPLAINED, "marked as spam"),
    Indicator("autoresponded", Fact.AUTORESPONDED, "an automatic reply came"),
)


class Total(NamedTuple):
    """A number of events of one kind."""

    name: str
    kind: int
    meaning: str


TOTALS: Final = (
    Total("total_opens", OPENED, "opens by humans"),
    Total("total_machine_opens", OPENED_MACHINE, "opens by machines"),
    Total("total_clicks", CLICKED, "clicks by humans, the unsubscribe link excluded"),
    Total("total_machine_clicks", CLICKED_MACHINE, "clicks by machines"),
    Total("total_unsubscribe_link_clicks", CLICKED_UNSUBSCRIBE_LINK, "clicks on the unsubscribe link"),
)


class KpiRate(NamedTuple):
    """A ratio of two KPIs; published with both (`docs/domain.md §4.2`)."""

    name: str
    numerator: str
    denominator: str


class RateValue(msgspec.Struct):
    """Value of a rate, with its numerator and denominator (`docs/domain.md §4.2`)."""

    #: None: the denominator is 0.
    value: float | None
    numerator: int
    numerator_name: str
    denominator: int
    denominator_name: str


RATES: Final = (
    KpiRate("delivered_rate", "delivered", "sent"),
    KpiRate("hard_bounce_rate", "hard_bounced", "sent"),
    KpiRate("open_rate", "unique_opens", "delivered"),
    KpiRate("click_through_rate", "unique_clicks", "delivered"),
    KpiRate("unsubscribe_rate", "unsubscribed", "delivered"),
    KpiRate("complaint_rate", "complained", "delivered"),
    KpiRate("reactivity", "unique_clicks", "unique_opens"),
)

#: Names of the KPIs that can be recounted from rows: `compute-stats` compares them.
ROW_KPIS: Final = (*(i.name for i in INDICATORS), *(t.name for t in TOTALS))

_ZEROS: Final = dict.fromkeys((*ROW_KPIS, *DECISION_NAMES), 0)
_TOTAL_OF_KIND: Final = {total.kind: total.name for total in TOTALS}

_names_by_bucket: dict[int, tuple[str, ...]] = {}
_status_by_bucket: dict[int, str] = {}
_names_by_counter: dict[int, tuple[str, ...]] = {}
_labels_by_counter: dict[int, tuple[int, str, str]] = {}


class KpiTotals(NamedTuple):
    """The KPIs and statuses of one `KpiPartial`, by name. Computed once for each change, used by all outputs."""

    #: Every KPI: recipients, totals, decisions.
    kpis: dict[str, int]
    #: Rows by status.
    statuses: dict[str, int]


def totals_of(partial: KpiPartial) -> KpiTotals:
    """Return what a partial's histograms add up to."""
    return KpiTotals(kpis(partial.buckets, partial.events), statuses(partial.buckets))


def kpis(buckets: Mapping[int, int], events: Mapping[int, int]) -> dict[str, int]:
    """Return every KPI by name: recipients, totals, decisions.

    Args:
        buckets: `KpiPartial.buckets`.
        events: `KpiPartial.events`.
    """
    result = _ZEROS.copy()
    for bucket, rows in buckets.items():
        for name in _names_by_bucket.get(bucket) or _names_of(bucket):
            result[name] += rows
    for counter, count in events.items():
        for name in _names_by_counter.get(counter) or _names_of_counter(counter):
            result[name] += count
    return result


def _names_of(bucket: int) -> tuple[str, ...]:
    names = _names_by_bucket.get(bucket)
    if names is None:
        facts = unpack_bucket(bucket).facts
        names = _names_by_bucket[bucket] = tuple(i.name for i in INDICATORS if i.counts(facts))
    return names


def _names_of_counter(counter: int) -> tuple[str, ...]:
    names = _names_by_counter.get(counter)
    if names is None:
        _, kind, decision = unpack_event_counter(counter)
        if kind == EXPIRED:  # a change of state without an event
            names = ()
        elif kind in _TOTAL_OF_KIND and decision in COUNTED:
            names = (DECISION_NAMES[decision], _TOTAL_OF_KIND[kind])
        else:
            names = (DECISION_NAMES[decision],)
        _names_by_counter[counter] = names
    return names


def statuses(buckets: Mapping[int, int]) -> dict[str, int]:
    """Return the number of rows with each status, in the order of the ranks; statuses without rows are left out."""
    result = dict.fromkeys(("none", *STATUS_NAMES), 0)
    for bucket, rows in buckets.items():
        result[_status_by_bucket.get(bucket) or _status_of(bucket)] += rows
    return {name: rows for name, rows in result.items() if rows}


def _status_of(bucket: int) -> str:
    name = _status_by_bucket[bucket] = STATUS_NAME[unpack_bucket(bucket).status]
    return name


def events_by_name(events: Mapping[int, int], source_name: Mapping[int, str]) -> dict[str, dict[str, dict[str, int]]]:
    """Return the histogram of events as source -> kind -> decision -> events."""
    result: dict[int, dict[str, dict[str, int]]] = {}
    for counter, count in events.items():
        source, kind, decision = _labels_by_counter.get(counter) or _labels_of(counter)
        kinds = result.get(source)
        if kinds is None:
            kinds = result[source] = {}
        decisions = kinds.get(kind)
        if decisions is None:
            decisions = kinds[kind] = {}
        decisions[decision] = count
    return {source_name.get(source, str(source)): kinds for source, kinds in result.items()}


def _labels_of(counter: int) -> tuple[int, str, str]:
    source, kind, decision = unpack_event_counter(counter)
    labels = _labels_by_counter[counter] = (source, KIND_NAME[kind], DECISION_NAMES[decision])
    return labels


def merged(one: Mapping[int, int], other: Mapping[int, int]) -> dict[int, int]:
    """Return the sum of two histograms, without the keys whose sum is 0."""
    result = dict(one)
    for key, count in other.items():
        total = result.get(key, 0) + count
        if total:
            result[key] = total
        else:
            result.pop(key, None)
    return result
