"""Every metric: name, type, labels, meaning. `docs/reference/metrics.md` is generated from this (`aftersend.docgen`).

By Prometheus' conventions: base units in the names, `_total` at the end of what only grows, times as timestamps rather
than ages. Every label's values are bounded; what would go beyond counts as `__other__`, so that sums stay right.
"""

from __future__ import annotations

import enum
from typing import Final, NamedTuple

from aftersend.rules.kpi.indicators import INDICATORS, TOTALS

PREFIX: Final = "aftersend_"

#: Stands for all values of a label that have no series of their own.
OTHER: Final = "__other__"
#: The delivery of events that belong to none.
NONE: Final = "__none__"


class MetricType(enum.Enum):
    """What Prometheus calls a metric's type."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Metric(NamedTuple):
    """One metric: all of its series share this."""

    name: str
    kind: MetricType
    help: str
    labels: tuple[str, ...] = ()
    #: Upper bounds of a histogram's buckets, the last one (infinity) left out.
    buckets: tuple[float, ...] = ()


def _counter(name: str, text: str, *labels: str) -> Metric:
    return Metric(f"{PREFIX}{name}_total", MetricType.COUNTER, text, labels)


def _gauge(name: str, text: str, *labels: str) -> Metric:
    return Metric(PREFIX + name, MetricType.GAUGE, text, labels)


def _histogram(name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Metric:
    return Metric(PREFIX + name, MetricType.HISTOGRAM, text, labels, buckets)


#: From what a quick batch takes to what an impatient operator bears, seconds.
_QUICK: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
#: From live to a day's backlog, seconds.
_AGES: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 1.5, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0, 86_400.0)
_LATENCIES: Final = (0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 1.5, 2.5, 5.0, 10.0, 30.0, 60.0)
_RESTORES: Final = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0)
_RECORDS: Final = (1.0, 10.0, 100.0, 500.0, 1000.0, 2500.0, 5000.0, 10_000.0, 20_000.0, 50_000.0)

# Every process.

BUILD_INFO: Final = _gauge("build_info", "Always 1; the labels say what runs.", "version", "process")

# The pipeline: what was committed.

EVENTS: Final = _counter(
    "events",
    "Canonical events folded, by what the fold decided. `unattributed` are those without delivery or recipient.",
    "source",
    "type",
    "decision",
)
RECORDS: Final = _counter("records", "Records taken from a source topic, ticks included.", "topic")
PARSED: Final = _counter("parsed_events", "Canonical events that normalise has read from a raw topic.", "topic")
DEAD_LETTERS: Final = _counter(
    "dead_letters",
    "Records that could not be read, by the topic they came from and the class of the error.",
    "topic",
    "error",
)
UNKNOWN_NAMES: Final = _counter(
    "unknown_names",
    "Events of a type that the source's parser does not know, by the provider's own name for it; the first 50 names "
    "of a process have series of their own.",
    "source",
    "name",
)
EVENT_AGE: Final = _histogram(
    "event_age_seconds",
    "Age of an event when its change of state was committed: from the Kafka timestamp of its raw record until then, "
    "ticks included. In batches of 256 records and more, neighbours share the age of the first of them.",
    _AGES,
)
BATCH_RECORDS: Final = _histogram("batch_records", "Records in a batch, which is a transaction.", _RECORDS, "topic")
BATCH_FOLD: Final = _histogram(
    "batch_fold_duration_seconds", "How long a batch was computed on; nothing else runs meanwhile.", _QUICK, "topic"
)
BATCH_COMMIT: Final = _histogram(
    "batch_commit_duration_seconds",
    "How long a batch's transaction took, from its begin to its commit.",
    _QUICK,
    "topic",
)
TRANSACTIONS: Final = _counter(
    "transactions",
    "Transactions by their end: `committed`, `failed` (the partition is restored), `fenced` (another worker has it).",
    "topic",
    "outcome",
)
RESTORES: Final = _counter(
    "restores",
    "Partitions taken over: the former owner fenced, the state restored. `failed` ones are tried again.",
    "topic",
    "outcome",
)
RESTORE_DURATION: Final = _histogram(
    "restore_duration_seconds", "How long it took to take a partition over.", _RESTORES, "topic"
)
RESTORED_RECORDS: Final = _counter("restored_records", "Records of changelogs read by restores.")
RESETS: Final = _counter(
    "resets", "Partitions whose memory was dropped after a transaction failed or was fenced.", "topic"
)

# The pipeline: where it stands.

READY: Final = _gauge("ready", "1: the group has given this worker partitions, and all are taken over.")
LEADER: Final = _gauge("leader", "1: this worker's clock is the one that ticks.")
PARTITIONS: Final = _gauge("partitions", "Partitions of this worker by what they are doing.", "topic", "phase")
LAG_RECORDS: Final = _gauge(
    "lag_records",
    "Records that wait, as far as this worker's consumer has heard, transaction markers included.",
    "topic",
    "partition",
)
LAG_SECONDS: Final = _gauge(
    "lag_seconds", "Age of the oldest record that waits, by its Kafka timestamp; 0 if none does.", "topic", "partition"
)
PAUSED: Final = _gauge(
    "paused",
    "1: too many records of the topic, or of one tenant of it, are unreadable, so they are not parsed for a while.",
    "topic",
    "tenant",
)
LAST_COMMIT: Final = _gauge(
    "last_commit_timestamp_seconds",
    "When a batch of the partition was last committed, or the partition taken over.",
    "topic",
    "partition",
)
ROWS: Final = _gauge("rows", "Rows of recipients, an estimate with the RocksDB store.", "partition")

# The heartbeat.

HEARTBEAT: Final = _gauge(
    "heartbeat_timestamp_seconds",
    "Kafka timestamp of the clock's last tick that has come through: to the `commit` of each partition of the events "
    "topic, and to the write to `redis` that followed. `time() - min(…)` is the pipeline's age.",
    "stage",
    "partition",
)
HEARTBEAT_LATENCY: Final = _histogram(
    "heartbeat_latency_seconds",
    "From the Kafka timestamp of a tick until it had come through, each partition counted. With the clock on another "
    "machine, the difference of the two machines' clocks is in it.",
    _LATENCIES,
    "stage",
)

# Redis.

REDIS_UP: Final = _gauge("redis_up", "1: the last write to Redis went well.")
REDIS_FLUSHES: Final = _counter(
    "redis_flushes", "Batches of writes to Redis by outcome; a `failed` one is done again.", "outcome"
)
REDIS_FLUSH: Final = _histogram("redis_flush_duration_seconds", "How long such a batch took.", _QUICK)
REDIS_WRITES: Final = _counter("redis_writes", "Deliveries' parts written to Redis.")
REDIS_FENCED: Final = _counter("redis_fenced", "Of these, refused since a later owner's part was there.")
REDIS_BACKLOG: Final = _gauge("redis_backlog", "Deliveries' parts that wait to be written to Redis.")

# Deliveries.

DELIVERIES: Final = _gauge("deliveries", "Deliveries with series of their own on this worker.")
DELIVERY_STATUS: Final = _gauge(
    "delivery_recipients", "Recipients by the status that they show; their sum is the audience.", "delivery", "status"
)
DELIVERY_EVENTS: Final = _gauge(
    "delivery_events", "Events by what the fold decided, since the delivery began.", "delivery", "decision"
)
#: By the names of `aftersend.rules.kpi.indicators`: what is counted for each delivery.
DELIVERY_KPIS: Final = {
    **{i.name: _gauge(f"delivery_{i.name}", f"Recipients: {i.meaning}.", "delivery") for i in INDICATORS},
    **{t.name: _gauge(f"delivery_{t.name}", f"Events: {t.meaning}.", "delivery") for t in TOTALS},
}

# Alerts.

DELIVERY_ALERT: Final = _gauge(
    "delivery_alert",
    "1: this share of the delivery is above its limit (`alert_thresholds`), as long as its statistics change. Shown by "
    "the worker that leads; deliveries beyond `metrics_deliveries` are counted together.",
    "delivery",
    "alert",
)
ALERTS: Final = _counter(
    "alerts", "Alerts on deliveries that were written to the alerts topic: `raised` or `ended`.", "alert", "state"
)

# The check.

DRIFT: Final = _gauge("compute_stats_drift", "Numbers that were not the same everywhere; should be 0.")
DRIFT_COMPARED: Final = _gauge("compute_stats_compared", "Numbers that were compared.")
DRIFT_AT: Final = _gauge("compute_stats_timestamp_seconds", "When `aftersend compute-stats` last ended.")

# The gateway.

GATEWAY_REQUESTS: Final = _counter(
    "gateway_requests", "Webhook requests answered; a source that is none is `__other__`.", "source", "code"
)
GATEWAY_BYTES: Final = _counter("gateway_body_bytes", "Bodies of webhook requests.", "source")
GATEWAY_ACK: Final = _histogram(
    "gateway_ack_duration_seconds",
    "From the end of a webhook's body until Kafka had acknowledged it; accepted requests only.",
    _QUICK,
    "source",
)
GATEWAY_IN_FLIGHT: Final = _gauge("gateway_in_flight_bytes", "Bodies that are being received or wait for Kafka.")
GATEWAY_READY: Final = _gauge("gateway_ready", "1: webhooks are accepted.")

#: Who exports what, in the order of the documentation.
SECTIONS: Final = {
    "Every process": (BUILD_INFO,),
    "Worker: what was done": (
        EVENTS,
        RECORDS,
        PARSED,
        DEAD_LETTERS,
        UNKNOWN_NAMES,
        EVENT_AGE,
        BATCH_RECORDS,
        BATCH_FOLD,
        BATCH_COMMIT,
        TRANSACTIONS,
        RESTORES,
        RESTORE_DURATION,
        RESTORED_RECORDS,
        RESETS,
    ),
    "Worker: where it stands": (
        READY,
        LEADER,
        PARTITIONS,
        LAG_RECORDS,
        LAG_SECONDS,
        PAUSED,
        LAST_COMMIT,
        ROWS,
    ),
    "Worker: the heartbeat": (HEARTBEAT, HEARTBEAT_LATENCY),
    "Worker: Redis": (REDIS_UP, REDIS_FLUSHES, REDIS_FLUSH, REDIS_WRITES, REDIS_FENCED, REDIS_BACKLOG),
    "Worker: deliveries": (DELIVERIES, DELIVERY_STATUS, DELIVERY_EVENTS, *DELIVERY_KPIS.values()),
    "Worker: alerts": (DELIVERY_ALERT, ALERTS),
    "The check": (DRIFT, DRIFT_COMPARED, DRIFT_AT),
    "Gateway": (GATEWAY_REQUESTS, GATEWAY_BYTES, GATEWAY_ACK, GATEWAY_IN_FLIGHT, GATEWAY_READY),
}

#: Every metric of ours by its name.
METRICS: Final = {metric.name: metric for section in SECTIONS.values() for metric in section}
