from aftersend.publish.prometheus.catalog import METRICS, SECTIONS


def test_no_name_is_given_twice() -> None:
    assert sum(map(len, SECTIONS.values())) == len(METRICS)


def test_every_metric_has_a_description() -> None:
    assert [] == [name for name, metric in METRICS.items() if not metric.help.endswith(".")]
