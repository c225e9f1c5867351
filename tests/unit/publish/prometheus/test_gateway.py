from collections.abc import Iterable

from aftersend.publish.prometheus.catalog import OTHER
from aftersend.publish.prometheus.gateway import GatewayMetrics


def values(collector: GatewayMetrics, names: Iterable[str]) -> dict[tuple[str, ...], float]:
    return {
        (s.name.removeprefix("aftersend_gateway_"), *s.labels.values()): s.value
        for family in collector.collect()
        for s in family.samples
        if s.name.removeprefix("aftersend_gateway_") in names
    }


def test_requests_are_counted_by_source_and_code() -> None:
    gateway = GatewayMetrics(["sendgrid"], lambda: 17, lambda: False)
    gateway.answered("sendgrid", 200, 100, 0.004)
    gateway.answered("sendgrid", 401, 50)
    assert {
        ("requests_total", "sendgrid", "200"): 1.0,
        ("requests_total", "sendgrid", "401"): 1.0,
        ("body_bytes_total", "sendgrid"): 150.0,
        ("ack_duration_seconds_count", "sendgrid"): 1.0,
        ("in_flight_bytes",): 17.0,
        ("ready",): 0.0,
    } == values(
        gateway, {"requests_total", "body_bytes_total", "ack_duration_seconds_count", "in_flight_bytes", "ready"}
    )


def test_unknown_paths_have_no_series_of_their_own() -> None:
    gateway = GatewayMetrics(["sendgrid"])
    for number in range(1000):
        gateway.answered(f"guess-{number}", 404, 10)
    assert {
        ("requests_total", "sendgrid", "200"): 0.0,
        ("requests_total", OTHER, "404"): 1000.0,
    } == values(gateway, {"requests_total"})
