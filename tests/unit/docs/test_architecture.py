"""The steps of `docs/guide/architecture.md` are those of the code: same numbers, same files."""

import re

from tests.paths import ROOT

PAGE = ROOT / "docs/guide/architecture.md"
ROOMS = ("aftersend", "agents", "schemas", "tables")

#: A file and the number of a step that stands in it.
Step = tuple[str, int]


def steps_of_the_page() -> list[Step]:
    """Return the steps of the page's tables, with the files of the last column."""
    found = []
    for row in re.findall(r"^\| (\d+) \|.*\| ([^|]+) \|$", PAGE.read_text(), re.MULTILINE):
        number, files = row
        found += [(file, int(number)) for file in re.findall(r"`([^`]+)`", files)]
    return found


def steps_of_the_code() -> list[Step]:
    """Return the steps that comments begin with."""
    return [
        (path.relative_to(ROOT).as_posix(), int(number))
        for room in ROOMS
        for path in sorted((ROOT / room).rglob("*.py"))
        for number in re.findall(r"^\s*# Step (\d+)\. ", path.read_text(), re.MULTILINE)
    ]


def test_the_steps_of_the_page_are_numbered_from_one_on() -> None:
    numbers = sorted({number for _, number in steps_of_the_page()})
    assert list(range(1, len(numbers) + 1)) == numbers
    assert 10 < len(numbers)


def test_each_step_stands_in_the_file_that_the_page_names_and_nowhere_else() -> None:
    assert sorted(steps_of_the_page()) == sorted(steps_of_the_code())


def test_the_steps_of_a_file_are_in_order() -> None:
    steps = steps_of_the_code()
    for file in {file for file, _ in steps}:
        numbers = [number for of, number in steps if of == file]
        assert sorted(numbers) == numbers, file
