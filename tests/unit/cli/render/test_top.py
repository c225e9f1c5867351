"""The screen is never wider or higher than the terminal."""

from io import StringIO

import pytest

from aftersend.cli.render.output import PrintableConsole
from aftersend.cli.render.top import COLUMNS, fitting, per_second, screen, time_span
from aftersend.publish.kpis import from_counters
from aftersend.services.kafka.lag import PartitionLag
from aftersend.services.monitor.rates import Rates, compute_rates
from aftersend.services.monitor.snapshot import Snapshot

NOW = 1_790_000_000.0


def busy(problems: list[str] | None = None) -> Rates:
    names = [f"delivery-with-a-long-name-{i}" for i in range(40)]
    deliveries = {n: from_counters(n, {"applied": 10**6, "delivered": 10**7, "sent": 10**7}, NOW, NOW) for n in names}
    positions = [PartitionLag(f"feedback.raw.source-{i}", 0, 5, 0, 10, 5, NOW - 100) for i in range(4)]
    snapshot = Snapshot(NOW, 1.0, deliveries, positions, problems or [])
    return compute_rates(snapshot, None, [position.topic for position in positions])


def drawn(rates: Rates, width: int, height: int | None, deliveries: int = 20) -> list[str]:
    console = PrintableConsole(file=StringIO(), width=width, height=height, color_system=None)
    console.print(screen(rates, width, height, deliveries, "q quit"))
    assert isinstance(console.file, StringIO)
    return console.file.getvalue().rstrip("\n").split("\n")


@pytest.mark.parametrize("width", [40, 60, 80, 100, 132, 200])
@pytest.mark.parametrize("height", [18, 24, 50])
def test_the_screen_fits_into_the_terminal(width: int, height: int) -> None:
    lines = drawn(busy(), width, height)

    assert max(len(line) for line in lines) <= width
    assert len(lines) <= height
    assert 4 == sum(line.startswith("feedback.r") and line.rstrip().endswith("100 s") for line in lines)
    assert "more deliveries" in lines[-1]
    assert 2 <= sum(line.startswith("deliv") for line in lines), "the heading, and deliveries"


def test_problems_reduce_the_rows_of_deliveries() -> None:
    lines = drawn(busy(["Redis at 127.0.0.1:1 (AFTERSEND_REDIS_URL) does not answer: " + "because " * 20]), 80, 24)

    assert len(lines) <= 24


def test_without_a_height_all_deliveries_up_to_the_limit_are_shown() -> None:
    lines = drawn(busy(), 200, None, 30)

    assert 30 == sum("delivery-with" in line for line in lines)
    assert lines[-1].startswith("10 more deliveries")


def test_a_narrow_terminal_omits_the_least_important_columns() -> None:
    assert COLUMNS == fitting(COLUMNS, 200)
    assert ["delivered"] == [column.heading for column in fitting(COLUMNS, 26)]
    assert () == fitting(COLUMNS, 5)
    headings = [column.heading for column in fitting(COLUMNS, 80)]
    assert {"events/s", "delivered", "opens", "clicks", "bounces"} <= set(headings)
    assert "last change" not in headings


@pytest.mark.parametrize(
    "seconds, text",
    [
        (0.0, "0.0 s"),
        (9.94, "9.9 s"),
        (10.0, "10 s"),
        (119.0, "119 s"),
        (120.0, "2 min"),
        (7200.0, "2 h"),
        (1e6, "12 d"),
    ],
)
def test_a_time_span_is_shown_in_the_unit_that_fits(seconds: float, text: str) -> None:
    assert text == time_span(seconds)


@pytest.mark.parametrize("value, text", [(None, "-"), (0.0, "0"), (0.25, "0.2"), (9.99, "10.0"), (12345.6, "12,346")])
def test_a_rate_is_shown_with_the_digits_that_matter(value: float | None, text: str) -> None:
    assert text == per_second(value)
