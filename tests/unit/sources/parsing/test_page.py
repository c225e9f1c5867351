"""The page of what sources share says what the data say."""

from collections.abc import Iterable

from aftersend.schemas.event import EVENT_TYPES
from aftersend.sources.parsing.arf import FEEDBACK_TYPES
from aftersend.sources.parsing.bounce_classes import CLASSES, CODE_OUTCOMES, STATUS_CLASSES
from tests.paths import SOURCES

PAGE = (SOURCES / "parsing" / "README.md").read_text()


def rows(first_cell: str) -> Iterable[list[str]]:
    """Return the cells of the rows of the table that begins with a heading."""
    lines = PAGE[PAGE.index(f"| {first_cell} |") :].splitlines()[2:]
    for line in lines:
        if not line.startswith("|"):
            return
        yield [cell.strip() for cell in line.strip("|").split(" | ")]


def test_the_page_has_every_class_and_feedback_type() -> None:
    expected = [
        f"| `{name}` | {f'`{kind}`' if kind in EVENT_TYPES else 'no event'} | {why} |"
        for name, kind, why in (*CLASSES, *FEEDBACK_TYPES)
    ]

    assert [] == [row for row in expected if row not in PAGE]


def test_the_page_has_every_status() -> None:
    shown = {(code, name) for codes, name in rows("status") for code in codes.replace("\\", "").split(", ")}
    kinds = {"45": "x", "4": "4", "5": "5"}

    assert {
        (f"{kinds[s.kinds]}.{s.subject}.{'*' if s.detail is None else s.detail}", s.name) for s in STATUS_CLASSES
    } == shown


def test_the_page_has_every_code() -> None:
    shown = {(int(code), kind.strip("`"), name) for codes, kind, name in rows("code") for code in codes.split(", ")}

    assert set(CODE_OUTCOMES) == shown
