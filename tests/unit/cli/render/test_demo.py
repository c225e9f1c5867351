"""The demo's screen fits the terminal."""

from collections import Counter
from io import StringIO

import pytest
from rich.console import RenderableType

from aftersend.cli.render.demo import COLUMNS, DemoRenderer, local_time, progress_line, result_line
from aftersend.cli.render.output import PrintableConsole
from aftersend.sandbox.demo.monitor import DemoSnapshot
from aftersend.sandbox.demo.session import DemoProgress
from aftersend.sandbox.reference.check import CheckReport
from aftersend.sandbox.reference.domain import DECISIONS

NAMES = ("autumn-sale", "order-confirmation", "a delivery with a name far too long for any terminal", "")
DELIVERIES = {
    name: Counter({column.name: 123_456 for column in COLUMNS} | dict.fromkeys(DECISIONS, 23_456)) for name in NAMES
}
STATE = DemoProgress(
    DemoSnapshot(DELIVERIES, parsed=999_000), written=1_000_000, clock=1_757_851_200.0, share=0.5, speed=2000.0
)
WIDTHS = pytest.mark.parametrize("width", [80, 100, 120, 200])


def rendered(what: RenderableType, width: int) -> list[str]:
    console = PrintableConsole(width=width, height=40, file=StringIO(), record=True)
    console.print(what)
    return console.export_text().splitlines()


def report(*differences: str) -> CheckReport:
    decisions = Counter({("kumomta", "sent", "applied"): 7, ("tracking", "opened", "duplicate"): 3})
    return CheckReport(not differences, 10, 9, 1, 5, 2, 4, DELIVERIES, decisions, list(differences))


@WIDTHS
def test_the_live_view_fits_and_shows_every_number_whole(width: int) -> None:
    lines = rendered(DemoRenderer("1,000 recipients").live(STATE, width, 40), width)
    assert all(len(shown) <= width for shown in lines)
    assert 9 <= len(lines) <= 14
    text = "\n".join(lines)
    assert "1,000,000" in text
    (sale,) = [shown for shown in lines if "autumn-sale" in shown]
    assert sale.count("123,456") >= (10 if width >= 120 else 7)
    assert "…" not in sale


@WIDTHS
def test_the_final_view_shows_decisions_by_source(width: int) -> None:
    lines = rendered(DemoRenderer("1,000 recipients").final(report(), width), width)
    assert all(len(shown) <= width for shown in lines)
    (applied,) = [shown.split() for shown in lines if shown.strip().startswith("applied")]
    assert ["applied", "7", "0", "7"] == applied[:4]


def test_the_result_is_shown() -> None:
    assert result_line(report()).plain.startswith("✓ numbers equal")
    assert result_line(report("x is 1, should be 2")).plain.startswith("✗ numbers differ")


def test_more_deliveries_than_the_screen_has_rows_are_counted() -> None:
    many = {f"delivery-{number}": Counter(audience=number) for number in range(50)}
    lines = rendered(DemoRenderer("").live(STATE._replace(snapshot=DemoSnapshot(many)), 100, 24), 100)
    assert len(lines) < 24
    assert any("… 40 more" in shown for shown in lines)


def test_times_have_their_zone() -> None:
    assert local_time(1_757_851_200.0)[-6] in "+-"
    assert "-" == local_time(0.0)


def test_without_a_terminal_progress_is_one_line() -> None:
    assert "1,000,000 raw records, 999,000 parsed" in progress_line(STATE)


@WIDTHS
def test_names_that_begin_alike_stay_apart(width: int) -> None:
    alike = {f"autumn-sale-2026-reminder-for-{name}": DELIVERIES["autumn-sale"] for name in ("buyers", "others")}
    snapshot = DemoSnapshot(alike, parsed=1)
    lines = rendered(DemoRenderer("").live(DemoProgress(snapshot, 1, 0.0, 0.5, 1.0), width, 40), width)
    names = {line.split()[1] for line in lines if "autumn" in line}

    assert 2 == len(names)
