from aftersend.publish.prometheus.catalog import OTHER, Metric, MetricType
from aftersend.publish.prometheus.series import BoundedLabels, CounterSeries, HistogramSeries, gauge

SECONDS = Metric("x_seconds", MetricType.HISTOGRAM, "How long.", ("topic",), (0.5, 1.0, 2.5))


def samples(family: object) -> dict[tuple[str, ...], float]:
    """Return a family's samples by name and label values."""
    return {(s.name, *s.labels.values()): s.value for s in family.samples}  # type: ignore[attr-defined]


def test_a_series_that_is_always_there_begins_at_0() -> None:
    counts = CounterSeries(Metric("x_total", MetricType.COUNTER, "How many.", ("topic",)), [("a",)])
    counts.add(("b",), 2)
    counts.add(("b",))
    assert {("x_total", "a"): 0.0, ("x_total", "b"): 3.0} == samples(counts.family())


def test_bounds_are_inclusive_and_buckets_cumulative() -> None:
    measured = HistogramSeries(SECONDS)
    for value in (0.5, 0.6, 1.0, 9.0):
        measured.observe(("a",), value)
    assert {
        ("x_seconds_bucket", "a", "0.5"): 1.0,
        ("x_seconds_bucket", "a", "1.0"): 3.0,
        ("x_seconds_bucket", "a", "2.5"): 3.0,
        ("x_seconds_bucket", "a", "+Inf"): 4.0,
        ("x_seconds_count", "a"): 4.0,
        ("x_seconds_sum", "a"): 11.1,
    } == samples(measured.family())


def test_a_sampled_value_has_the_weight_of_its_stride() -> None:
    measured = HistogramSeries(SECONDS)
    measured.observe_all(("a",), [0.25, 2.0, 2.0], stride=4, total=9)
    found = samples(measured.family())
    assert 4.0 == found["x_seconds_bucket", "a", "0.5"]
    assert 9.0 == found["x_seconds_count", "a"]
    assert 4 * 0.25 + 4 * 2.0 + 1 * 2.0 == found["x_seconds_sum", "a"]


def test_label_values_beyond_the_limit_are_one_series() -> None:
    names = BoundedLabels(2)
    assert [("s", "a"), ("s", "b"), ("s", OTHER), ("s", "a")] == [names.bounded("s", name) for name in "abca"]


def test_label_values_are_shortened() -> None:
    assert 200 == len(BoundedLabels(1).bounded("s", "x" * 10_000)[1])


def test_a_gauge_may_be_negative() -> None:
    assert {("x", "a"): -1.0} == samples(gauge(Metric("x", MetricType.GAUGE, "How much.", ("topic",)), {("a",): -1.0}))
