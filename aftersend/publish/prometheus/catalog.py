"""Every metric: name, type, labels, meaning. `docs/reference/metrics.md` is generated from this (`aftersend.docgen`).

By Prometheus' conventions: base units in the names, counters end in `_total`, times are timestamps rather than ages.
The number of values of every label is bounded; further values count as `__other__`, so that sums stay correct.
"""

from __future__ import annotations

import enum
from typing import Final, NamedTuple

from aftersend.rules.kpi.indicators import INDICATORS, TOTALS

PREFIX: Final = "aftersend_"

#: Label value for everything without series of its own.
OTHER: Final = "__other__"
#: Label value for events without a delivery.
NONE: Final = "__none__"


class MetricType(enum.Enum):
    """Type of a metric."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Metric(NamedTuple):
    """One metric."""

    name: str
    kind: MetricType
    help: str
    labels: tuple[str, ...] = ()
    #: Upper bounds of a histogram's buckets, without infinity.
    buckets: tuple[float, ...] = ()


def _counter(name: str, text: str, *labels: str) -> Metric:
    return Metric(f"{PREFIX}{name}_total", MetricType.COUNTER, text, labels)


def _gauge(name: str, text: str, *labels: str) -> Metric:
    return Metric(PREFIX + name, MetricType.GAUGE, text, labels)


def _histogram(name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Metric:
    return Metric(PREFIX + name, MetricType.HISTOGRAM, text, labels, buckets)


#: Durations: from a fast batch to a very slow one, seconds.
_QUICK: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
#: Ages: from live to a day's backlog, seconds.
_AGES: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 1.5, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0, 86_400.0)
_LATENCIES: Final = (0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 1.5, 2.5, 5.0, 10.0, 30.0, 60.0)
_RESTORES: Final = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0)
_RECORDS: Final = (1.0, 10.0, 100.0, 500.0, 1000.0, 2500.0, 5000.0, 10_000.0, 20_000.0, 50_000.0)

# Every process.

BUILD_INFO: Final = _gauge("build_info", "Always 1; version and process are in the labels.", "version", "process")

# Pipeline: work that was committed.

EVENTS: Final = _counter(
    "events",
    "Canonical events folded, by decision. `unattributed` events have no delivery or recipient.",
    "source",
    "type",
    "decision",
)
RECORDS: Final = _counter("records", "Records consumed from a source topic, ticks included.", "topic")
PARSED: Final = _counter("parsed_events", "Canonical events parsed from a raw topic.", "topic")
DEAD_LETTERS: Final = _counter(
    "dead_letters",
    "Unreadable records, by their topic and the class of the error.",
    "topic",
    "error",
)
UNKNOWN_NAMES: Final = _counter(
    "unknown_names",
    "Events of a type that the source's parser does not support, by the provider's name for it; the first 50 names of "
    "a process have series of their own.",
    "source",
    "name",
)
REFUSED_TICKS: Final = _counter(
    "refused_ticks",
    "Ticks that were further ahead of a partition's time than `clock_max_step`. They come after an outage; at any "
    "other time a clock is wrong.",
)
EVENT_AGE: Final = _histogram(
    "event_age_seconds",
    "Time from the Kafka timestamp of a raw record to the commit of its event, ticks included. In batches of 256 "
    "records and more, a sample is measured.",
    _AGES,
)
BATCH_RECORDS: Final = _histogram(
    "batch_records", "Records in a batch; each batch is one transaction.", _RECORDS, "topic"
)
BATCH_FOLD: Final = _histogram(
    "batch_fold_duration_seconds", "Computation of a batch; nothing else runs meanwhile.", _QUICK, "topic"
)
BATCH_COMMIT: Final = _histogram(
    "batch_commit_duration_seconds",
    "Transaction of a batch, from begin to commit.",
    _QUICK,
    "topic",
)
TRANSACTIONS: Final = _counter(
    "transactions",
    "Transactions by outcome: `committed`, `failed` (the partition is restored), `fenced` (another worker owns it).",
    "topic",
    "outcome",
)
OFFSETS_SKIPPED: Final = _counter(
    "offsets_skipped",
    "Offsets between the place where a partition would have gone on and the one where it does, by reason: `set_back` "
    "and `group_lost` (the consumer group's offset was lost; nothing is counted twice), `set_forward`, `deleted` "
    "(records were not counted), `truncated` (Kafka has lost records).",
    "topic",
    "reason",
)
RESTORES: Final = _counter(
    "restores",
    "Take-overs of partitions: former owner fenced, state restored. A `failed` one is retried.",
    "topic",
    "outcome",
)
RESTORE_DURATION: Final = _histogram("restore_duration_seconds", "Take-over of a partition.", _RESTORES, "topic")
RESTORED_RECORDS: Final = _counter("restored_records", "Changelog records read by restores.")
RESETS: Final = _counter(
    "resets", "Partitions whose state in memory was dropped after a transaction failed or was fenced.", "topic"
)

# Pipeline: its state.

READY: Final = _gauge("ready", "1: the group has assigned partitions to this worker, and all are taken over.")
LEADER: Final = _gauge("leader", "1: this worker leads: its clock writes the ticks.")
PARTITIONS: Final = _gauge("partitions", "Partitions of this worker by phase.", "topic", "phase")
LAG_RECORDS: Final = _gauge(
    "lag_records",
    "Records to be consumed, as known to this worker's consumer, transaction markers included.",
    "topic",
    "partition",
)
LAG_SECONDS: Final = _gauge(
    "lag_seconds",
    "Age of the oldest record to be consumed, by its Kafka timestamp; 0 if there is none.",
    "topic",
    "partition",
)
PAUSED: Final = _gauge(
    "paused",
    "1: too many records of the topic, or of one tenant of it, are unreadable, so they are not parsed for a while.",
    "topic",
    "tenant",
)
LAST_COMMIT: Final = _gauge(
    "last_commit_timestamp_seconds",
    "Time of the partition's last commit, or of its take-over.",
    "topic",
    "partition",
)
ROWS: Final = _gauge("rows", "Rows of recipients; an estimate with the RocksDB store.", "partition")

# Heartbeat.

HEARTBEAT: Final = _gauge(
    "heartbeat_timestamp_seconds",
    "Kafka timestamp of the last tick that has passed a stage: `commit` in each partition of the events topic, and the "
    "following write to `redis`. `time() - min(…)` is the age of the pipeline.",
    "stage",
    "partition",
)
HEARTBEAT_LATENCY: Final = _histogram(
    "heartbeat_latency_seconds",
    "Time from the Kafka timestamp of a tick until it has passed a stage, in each partition. It includes the "
    "difference of the machines' clocks, if the clock runs on another machine.",
    _LATENCIES,
    "stage",
)

# Redis.

REDIS_UP: Final = _gauge("redis_up", "1: the last write to Redis succeeded.")
REDIS_FLUSHES: Final = _counter("redis_flushes", "Flushes to Redis by outcome; a `failed` one is retried.", "outcome")
REDIS_FLUSH: Final = _histogram("redis_flush_duration_seconds", "Flush to Redis.", _QUICK)
REDIS_WRITES: Final = _counter("redis_writes", "Parts of deliveries written to Redis.")
REDIS_FENCED: Final = _counter("redis_fenced", "Writes refused since a later owner has written the part.")
REDIS_BACKLOG: Final = _gauge("redis_backlog", "Parts of deliveries to be written to Redis.")

# Deliveries.

DELIVERIES: Final = _gauge("deliveries", "Deliveries with series of their own on this worker.")
DELIVERY_STATUS: Final = _gauge(
    "delivery_recipients", "Recipients by status; their sum is the audience.", "delivery", "status"
)
DELIVERY_EVENTS: Final = _gauge(
    "delivery_events", "Events by decision, since the delivery began.", "delivery", "decision"
)
#: Metrics of each delivery's KPIs, by the names of `aftersend.rules.kpi.indicators`.
DELIVERY_KPIS: Final = {
    **{i.name: _gauge(f"delivery_{i.name}", f"Recipients: {i.meaning}.", "delivery") for i in INDICATORS},
    **{t.name: _gauge(f"delivery_{t.name}", f"Events: {t.meaning}.", "delivery") for t in TOTALS},
}

# Alerts.

DELIVERY_ALERT: Final = _gauge(
    "delivery_alert",
    "1: the share is above its threshold (`alert_thresholds`), until the delivery's statistics are final. Exported by "
    "the leading worker; deliveries beyond `metrics_deliveries` are counted together.",
    "delivery",
    "alert",
)
ALERTS: Final = _counter("alerts", "Alerts written to the alerts topic: `raised` or `ended`.", "alert", "state")

# Drift check.

DRIFT: Final = _gauge("compute_stats_drift", "Numbers that differ; should be 0.")
DRIFT_COMPARED: Final = _gauge("compute_stats_compared", "Numbers compared.")
DRIFT_AT: Final = _gauge("compute_stats_timestamp_seconds", "Time of the last `aftersend compute-stats`.")

# The gateway.

GATEWAY_REQUESTS: Final = _counter(
    "gateway_requests", "Webhook requests answered; unknown sources are `__other__`.", "source", "code"
)
GATEWAY_BYTES: Final = _counter("gateway_body_bytes", "Size of the bodies of webhook requests.", "source")
GATEWAY_ACK: Final = _histogram(
    "gateway_ack_duration_seconds",
    "Time from the end of a webhook's body to its acknowledgement by Kafka; accepted requests only.",
    _QUICK,
    "source",
)
GATEWAY_IN_FLIGHT: Final = _gauge(
    "gateway_in_flight_bytes", "Bodies that are being received, or not acknowledged by Kafka."
)
GATEWAY_READY: Final = _gauge("gateway_ready", "1: webhooks are accepted.")

#: Metrics by section, in the order of the documentation.
SECTIONS: Final = {
    "Every process": (BUILD_INFO,),
    "Worker: work": (
        EVENTS,
        RECORDS,
        PARSED,
        DEAD_LETTERS,
        UNKNOWN_NAMES,
        REFUSED_TICKS,
        EVENT_AGE,
        BATCH_RECORDS,
        BATCH_FOLD,
        BATCH_COMMIT,
        TRANSACTIONS,
        OFFSETS_SKIPPED,
        RESTORES,
        RESTORE_DURATION,
        RESTORED_RECORDS,
        RESETS,
    ),
    "Worker: state": (
        READY,
        LEADER,
        PARTITIONS,
        LAG_RECORDS,
        LAG_SECONDS,
        PAUSED,
        LAST_COMMIT,
        ROWS,
    ),
    "Worker: heartbeat": (HEARTBEAT, HEARTBEAT_LATENCY),
    "Worker: Redis": (REDIS_UP, REDIS_FLUSHES, REDIS_FLUSH, REDIS_WRITES, REDIS_FENCED, REDIS_BACKLOG),
    "Worker: deliveries": (DELIVERIES, DELIVERY_STATUS, DELIVERY_EVENTS, *DELIVERY_KPIS.values()),
    "Worker: alerts": (DELIVERY_ALERT, ALERTS),
    "Drift check": (DRIFT, DRIFT_COMPARED, DRIFT_AT),
    "Gateway": (GATEWAY_REQUESTS, GATEWAY_BYTES, GATEWAY_ACK, GATEWAY_IN_FLIGHT, GATEWAY_READY),
}

#: Every metric by name.
METRICS: Final = {metric.name: metric for section in SECTIONS.values() for metric in section}
