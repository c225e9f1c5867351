from pathlib import Path

from publish.metrics import METRICS, SECTIONS
from publish.metrics_doc import render

PAGE = Path(__file__).parents[3] / "docs" / "metrics.md"


def test_the_page_is_current() -> None:
    """If not: python -m publish.metrics_doc > docs/metrics.md."""
    assert render() == PAGE.read_text()


def test_no_name_is_given_twice() -> None:
    assert sum(map(len, SECTIONS.values())) == len(METRICS)


def test_every_metric_says_what_it_means() -> None:
    assert [] == [name for name, metric in METRICS.items() if not metric.help.endswith(".")]
