from aftersend.publish.prometheus.heartbeat import COMMIT, REDIS, Heartbeat


def values(heartbeat: Heartbeat) -> dict[tuple[str, ...], float]:
    return {(s.name, *s.labels.values()): s.value for family in heartbeat.collect() for s in family.samples}


def test_a_tick_is_exported_as_a_timestamp() -> None:
    heartbeat = Heartbeat(lambda: 1000.25)
    heartbeat.observe(COMMIT, 3, 1000.0)
    found = values(heartbeat)
    assert 1000.0 == found["aftersend_heartbeat_timestamp_seconds", "commit", "3"]
    assert 0.25 == found["aftersend_heartbeat_latency_seconds_sum", "commit"]
    assert 0.0 == found["aftersend_heartbeat_latency_seconds_count", "redis"]


def test_a_tick_counts_once() -> None:
    heartbeat = Heartbeat(lambda: 1000.0)
    for tick in (0.0, 999.0, 999.0, 998.0):
        heartbeat.observe(REDIS, 0, tick)
    assert 1.0 == values(heartbeat)["aftersend_heartbeat_latency_seconds_count", "redis"]


def test_the_heartbeat_starts_at_the_tick_of_the_partitions_tables() -> None:
    """A worker that takes over from a hung one must not appear current, and measures no latency."""
    heartbeat = Heartbeat(lambda: 2000.0)
    heartbeat.start(COMMIT, 0, 1000.0)
    heartbeat.start(COMMIT, 1, 0.0)
    found = values(heartbeat)
    assert 1000.0 == found["aftersend_heartbeat_timestamp_seconds", "commit", "0"]
    assert ("aftersend_heartbeat_timestamp_seconds", "commit", "1") not in found
    assert 0.0 == found["aftersend_heartbeat_latency_seconds_count", "commit"]


def test_a_revoked_partition_has_no_series() -> None:
    heartbeat = Heartbeat(lambda: 1000.0)
    heartbeat.observe(COMMIT, 0, 999.0)
    heartbeat.remove(COMMIT, 0)
    assert ("aftersend_heartbeat_timestamp_seconds", "commit", "0") not in values(heartbeat)


def test_clocks_that_differ_give_no_negative_latency() -> None:
    heartbeat = Heartbeat(lambda: 1000.0)
    heartbeat.observe(COMMIT, 0, 1001.0)
    assert 0.0 == values(heartbeat)["aftersend_heartbeat_latency_seconds_sum", "commit"]
