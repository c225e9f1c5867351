from aftersend.engine.partitions.health import PartitionHealth, WorkerHealth
from aftersend.publish.prometheus.health import HealthMetrics
from tests.unit.publish.prometheus.samples import values

NOW = 1_790_000_000.0


def test_health_of_worker_and_partitions_is_exported() -> None:
    partition = PartitionHealth("events", 2, "running", 100, 120, 120, 120, 7.5, 3.25)
    health = WorkerHealth(assigned=True, restoring=[], restored=12, answered=0, asked=0, partitions=[partition])

    metrics = HealthMetrics(lambda: health, lambda: True, lambda: NOW)

    assert {("events", "2"): 20.0} == values(metrics, "lag_records")
    assert {("events", "2"): 3.25} == values(metrics, "lag_seconds")
    assert {("events", "2"): NOW - 7.5} == values(metrics, "last_commit_timestamp_seconds")
    assert {("events", "running"): 1.0} == values(metrics, "partitions")
    assert {(): 12.0} == values(metrics, "restored_records_total")
    assert {(): 1.0} == values(metrics, "ready")
    assert {(): 1.0} == values(metrics, "leader")
