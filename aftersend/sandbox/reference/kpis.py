"""KPIs, counted from rows and decisions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from aftersend.sandbox.reference import domain
from aftersend.sandbox.reference.fold import ExpectedDelivery
from aftersend.sandbox.reference.rows import ExpectedRow

#: Names of every KPI.
NAMES = ("audience", *(kpi.name for kpi in domain.ROW_KPIS), *domain.TOTAL_KPIS, *domain.DECISIONS)


def of_rows(rows: Iterable[ExpectedRow]) -> Counter[str]:
    """Count recipients, and rows by status as `status_<name>`; test messages do not count."""
    counts: Counter[str] = Counter()
    # Most rows equal many others, so equal rows are counted together.
    alike = Counter((row.status, frozenset(row.facts)) for row in rows)
    for (status, facts), number in alike.items():
        if "test" in facts or (status == "none" and not facts):
            continue
        counts["audience"] += number
        counts[f"status_{status}"] += number
        for kpi in domain.ROW_KPIS:
            if facts & kpi.any_of and not facts & kpi.none_of:
                counts[kpi.name] += number
            elif kpi.name == "unique_opens" and "unsubscribed" in facts and "one_click" not in facts:
                counts[kpi.name] += number  # an unsubscribe in the message implies an open
    return counts


def of_decisions(delivery: ExpectedDelivery) -> Counter[str]:
    """Count events by decision, and the totals of those that count."""
    counts: Counter[str] = Counter()
    total_of_kind = {kind: name for name, kind in domain.TOTAL_KPIS.items()}
    for (_, kind, decision), number in delivery.decisions.items():
        counts[decision] += number
        if kind in total_of_kind and decision in domain.COUNTED:
            counts[total_of_kind[kind]] += number
    return counts


def events(delivery: ExpectedDelivery) -> dict[str, dict[str, dict[str, int]]]:
    """Return source -> kind -> decision -> events."""
    result: dict[str, dict[str, dict[str, int]]] = {}
    for (source, kind, decision), number in delivery.decisions.items():
        result.setdefault(source, {}).setdefault(kind, {})[decision] = number
    return result
