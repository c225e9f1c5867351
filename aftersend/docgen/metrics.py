"""The metrics page, `docs/reference/metrics.md`, from the catalog of metrics."""

from __future__ import annotations

import sys
from typing import Final

from aftersend.publish.prometheus.catalog import NONE, OTHER, SECTIONS, Metric, MetricType

_INTRODUCTION: Final = f"""\
# Metrics

This page is written from `aftersend/publish/prometheus/catalog.py` by
`python -m aftersend.docgen.metrics > docs/reference/metrics.md`; a test keeps it current.
Why they are as they are: `docs/decisions/0007-metrics.md`.

## Scraping

Every process serves `/metrics` in Prometheus' text format, or in OpenMetrics where that is asked for:

| process | where |
| --- | --- |
| `aftersend worker` | `web_host`:`web_port` (default 127.0.0.1:6066), beside `/live` and `/ready` |
| `aftersend worker --processes 4` | one port for each process: 6066, 6067, 6068, 6069; all of them are to be scraped |
| `aftersend gateway` | `web_host`:`gateway_admin_port` (default 127.0.0.1:6166), and the ports that follow |
| `aftersend compute-stats --metrics FILE` | a file for the node exporter's textfile collector; run it by cron |

Set `AFTERSEND_WEB_HOST=0.0.0.0` where Prometheus runs elsewhere. There is nothing about recipients in it, but the ids
of deliveries. `deploy/prometheus/` holds an example configuration, which lists the ports of four processes, and the
alerts; `deploy/grafana/dashboards/` a dashboard.

## Reading

- Counters begin at 0 with each process and count what was committed by it: `sum(rate(…))` over all workers.
- Gauges of a partition are shown by the worker that has it. While a partition moves, nobody shows it.
- Gauges of a delivery hold what the worker's partitions add: `sum by (delivery) (…)`. They come from the tables, so a
  restart changes nothing. The `metrics_deliveries` deliveries that were active last have series of their own, all
  others together are `{OTHER}`; what belongs to no delivery is `{NONE}`. KPIs may fall, so they are gauges.
- Labels have few values: whatever would go beyond counts as `{OTHER}`.
- Times are timestamps rather than ages: `time() - min(aftersend_heartbeat_timestamp_seconds{{stage="redis"}})` goes on
  growing when nothing moves any more.
- Beside these there are `process_*` (Linux) and `python_*`, of the process and of its interpreter.
"""

_TYPES: Final = {MetricType.COUNTER: "counter", MetricType.GAUGE: "gauge", MetricType.HISTOGRAM: "histogram"}


def render() -> str:
    """Return the page."""
    lines = [_INTRODUCTION]
    for title, section in SECTIONS.items():
        lines += [f"\n## {title}\n", "| metric | type | labels | meaning |", "| --- | --- | --- | --- |"]
        lines += map(_line, section)
    return "\n".join(lines) + "\n"


def _line(metric: Metric) -> str:
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    meaning = metric.help
    if metric.buckets:
        meaning += f" Buckets: {', '.join(f'{bound:g}' for bound in metric.buckets)}."
    return f"| `{metric.name}` | {_TYPES[metric.kind]} | {labels} | {meaning} |"


if __name__ == "__main__":
    sys.stdout.write(render())
