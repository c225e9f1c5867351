"""The metrics page, `docs/reference/metrics.md`, from the catalog of metrics."""

from __future__ import annotations

from typing import Final

from aftersend.docgen.template import fill, table
from aftersend.publish.prometheus.catalog import NONE, OTHER, SECTIONS, Metric, MetricType

_TYPES: Final = {MetricType.COUNTER: "counter", MetricType.GAUGE: "gauge", MetricType.HISTOGRAM: "histogram"}


def render() -> str:
    """Return the page."""
    tables = (
        f"## {title}\n\n{table(('metric', 'type', 'labels', 'meaning'), map(_line, section))}"
        for title, section in SECTIONS.items()
    )
    return fill("metrics", {"other": OTHER, "none": NONE, "sections": "\n\n".join(tables)})


def _line(metric: Metric) -> tuple[str, str, str, str]:
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    meaning = metric.help
    if metric.buckets:
        meaning += f" Buckets: {', '.join(f'{bound:g}' for bound in metric.buckets)}."
    return f"`{metric.name}`", _TYPES[metric.kind], labels, meaning
