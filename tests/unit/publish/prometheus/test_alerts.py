"""Metrics of alerts on deliveries."""

from prometheus_client import CollectorRegistry, generate_latest

from aftersend.publish.prometheus.alerts import AlertMetrics
from aftersend.schemas.alert import DeliveryAlert


def alert(delivery: str, name: str = "complaints", state: str = "raised") -> DeliveryAlert:
    return DeliveryAlert(1, delivery, name, state, 1, 0.0, 0.1, 0.05, 100, 10, "complained", 100, "delivered")


def lines(metrics: AlertMetrics) -> list[str]:
    registry = CollectorRegistry()
    registry.register(metrics)
    return [line for line in generate_latest(registry).decode().splitlines() if not line.startswith("#")]


def test_active_alerts_and_transitions_are_counted() -> None:
    metrics = AlertMetrics(5, ["complaints"])
    metrics.update([alert("sale"), alert("other", state="ended")], [alert("sale")])

    assert [
        'aftersend_delivery_alert{alert="complaints",delivery="sale"} 1.0',
        'aftersend_alerts_total{alert="complaints",state="raised"} 1.0',
        'aftersend_alerts_total{alert="complaints",state="ended"} 1.0',
    ] == lines(metrics)
    metrics.update([], [])
    assert not any("sale" in line for line in lines(metrics))


def test_the_latest_alerts_have_series_of_their_own() -> None:
    """Both alerts of a delivery use one series; the others are counted together."""
    metrics = AlertMetrics(1, [])
    metrics.update(
        [], [alert("last"), alert("last", "hard_bounces"), alert("a"), alert("b"), alert("b", "hard_bounces")]
    )

    assert {
        'aftersend_delivery_alert{alert="complaints",delivery="last"} 1.0',
        'aftersend_delivery_alert{alert="hard_bounces",delivery="last"} 1.0',
        'aftersend_delivery_alert{alert="complaints",delivery="__other__"} 2.0',
        'aftersend_delivery_alert{alert="hard_bounces",delivery="__other__"} 1.0',
    } == set(lines(metrics))
