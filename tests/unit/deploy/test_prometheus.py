"""What dashboards and alerts ask for has to be there: every name in their queries is one that is exported."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from aftersend.publish.prometheus.catalog import METRICS, MetricType
from tests.paths import DEPLOY

DASHBOARD = json.loads((DEPLOY / "grafana" / "dashboards" / "aftersend.json").read_text())
GROUPS = yaml.safe_load((DEPLOY / "prometheus" / "aftersend.rules.yml").read_text())["groups"]

#: Names that a query may use: each histogram has three.
EXPORTED = {
    name + suffix
    for name, metric in METRICS.items()
    for suffix in (("_bucket", "_sum", "_count") if metric.kind is MetricType.HISTOGRAM else ("",))
}
RECORDED = {rule["record"] for group in GROUPS for rule in group["rules"] if "record" in rule}
OTHERS = {"process_cpu_seconds_total", "process_resident_memory_bytes"}
_NAME = re.compile(r"\b(?:aftersend|process|python)[_:][a-z0-9_:]+")
_LABELS = re.compile(r"(aftersend_\w+?)(?:_bucket|_sum|_count)?{([^}]*)}")
_BY = re.compile(r"by \(([^)]*)\)")


def dashboard_queries() -> Iterator[str]:
    for panel in DASHBOARD["panels"]:
        yield from (target["expr"] for target in panel.get("targets", ()))


def rule_queries() -> Iterator[str]:
    for group in GROUPS:
        yield from (rule["expr"] for rule in group["rules"])


QUERIES = [*dashboard_queries(), *rule_queries()]


@pytest.mark.parametrize("query", QUERIES)
def test_every_metric_in_a_query_is_exported(query: str) -> None:
    names = set(_NAME.findall(query))
    assert names
    assert set() == names - EXPORTED - RECORDED - OTHERS


@pytest.mark.parametrize("query", QUERIES)
def test_every_label_in_a_query_is_one_of_its_metric(query: str) -> None:
    for name, matchers in _LABELS.findall(query):
        asked = set(re.findall(r"(\w+)\s*[=!]", matchers))
        assert set() == asked - set(METRICS[name].labels)
    possible = {label for name in _NAME.findall(query) for label in labels_of(name)}
    asked = {label.strip() for labels in _BY.findall(query) for label in labels.split(",")}
    assert set() == asked - possible


def labels_of(name: str) -> set[str]:
    metric = METRICS.get(name) or METRICS.get(re.sub(r"_(bucket|sum|count)$", "", name))
    return {*metric.labels, "le", "instance"} if metric is not None else {"instance"}


def test_every_panel_has_a_place_of_its_own() -> None:
    taken: dict[tuple[int, int], str] = {}
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        for column in range(place["x"], place["x"] + place["w"]):
            assert column < 24
            for line in range(place["y"], place["y"] + place["h"]):
                assert panel["title"] == taken.setdefault((column, line), panel["title"])
    assert len(DASHBOARD["panels"]) == len({panel["id"] for panel in DASHBOARD["panels"]})


@pytest.mark.parametrize(
    "alert", [r for group in GROUPS for r in group["rules"] if "alert" in r], ids=lambda r: r["alert"]
)
def test_every_alert_says_what_it_means_and_what_to_do(alert: dict[str, Any]) -> None:
    description = alert["annotations"]["description"]
    assert alert["annotations"]["summary"]
    assert description.startswith("Impact: ")
    assert "\n1. " in description
    assert alert["labels"]["severity"] in {"page", "warn"}
