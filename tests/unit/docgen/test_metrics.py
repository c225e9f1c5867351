from aftersend.docgen.metrics import render
from aftersend.publish.prometheus.catalog import METRICS, SECTIONS
from tests.paths import DOCS

PAGE = DOCS / "reference" / "metrics.md"


def test_the_page_is_current() -> None:
    """If not: python -m aftersend.docgen.metrics > docs/reference/metrics.md."""
    assert render() == PAGE.read_text()


def test_no_name_is_given_twice() -> None:
    assert sum(map(len, SECTIONS.values())) == len(METRICS)


def test_every_metric_says_what_it_means() -> None:
    assert [] == [name for name, metric in METRICS.items() if not metric.help.endswith(".")]
