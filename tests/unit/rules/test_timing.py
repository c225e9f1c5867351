"""When rows expire: the windows that `semantics.md` section 2 names."""

import pytest

from rules.timing import DAY, DEFAULT_WINDOW, HOUR, SOURCE_WINDOWS, timing


def test_windows_of_the_sources() -> None:
    numbers = {"unione": 1, "elastic_email": 2, "sendgrid": 3, "adobe": 4, "kumomta": 5}
    windows = timing(numbers=numbers).windows

    assert [24, 48, 72, 84, 48] == [windows[number] / HOUR for number in numbers.values()]
    assert 48 * HOUR == DEFAULT_WINDOW == windows[0], "of a source that nobody knows"
    assert SOURCE_WINDOWS.keys() < numbers.keys()


def test_the_default_can_be_set() -> None:
    windows = timing(window=HOUR, numbers={"unione": 1, "kumomta": 2}).windows

    assert (HOUR, 24 * HOUR, HOUR) == windows[:3]


def test_defaults() -> None:
    assert (30 * DAY, 120 * DAY) == (timing().freeze, timing().retention)


def test_rows_are_not_forgotten_before_they_are_frozen() -> None:
    with pytest.raises(ValueError, match="retention"):
        timing(freeze=2 * DAY, retention=DAY)
    assert DAY == timing(freeze=DAY, retention=DAY).retention
