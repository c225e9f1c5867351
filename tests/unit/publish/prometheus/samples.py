"""Values of a collector's series, for tests."""

from prometheus_client.registry import Collector


def values(collector: Collector, name: str) -> dict[tuple[str, ...], float]:
    """Return the samples of one metric that are not 0, by label values."""
    return {
        tuple(s.labels.values()): s.value
        for family in collector.collect()
        for s in family.samples
        if s.name == f"aftersend_{name}" and s.value
    }
