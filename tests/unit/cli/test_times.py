import time

import pytest

from aftersend.cli.times import when
from aftersend.errors import UsageError

NOW = 1_790_000_000.0


@pytest.mark.parametrize(
    "text, seconds", [("90s", 90), ("15min", 900), ("2h", 7200), ("1.5h", 5400), ("3d", 259_200), (" 1w ", 604_800)]
)
def test_a_duration_is_a_time_ago(text: str, seconds: float) -> None:
    assert NOW - seconds == when(text, NOW)


def test_iso_8601_with_a_zone_is_exact() -> None:
    assert 1_767_225_600.0 == when("2026-01-01T00:00:00Z", NOW)
    assert 1_767_225_600.0 == when("2026-01-01T02:00:00+02:00", NOW)


def test_iso_8601_without_a_zone_is_local() -> None:
    assert time.mktime((2026, 7, 1, 12, 30, 0, 0, 0, -1)) == when("2026-07-01 12:30", NOW)


@pytest.mark.parametrize(
    "text",
    ["1969-12-31T23:59:59Z", "9999-12-31T23:59:59-14:00", "0002-01-01", "99999w", f"{'9' * 400}w"],
)
def test_a_number_that_is_no_time_is_an_error(text: str) -> None:
    with pytest.raises(UsageError, match="is not a time"):
        when(text, NOW)


@pytest.mark.parametrize("text", ["", "yesterday", "2m", "-2h", "2026-13-01", "0001-01-01"])
def test_other_text_is_an_error(text: str) -> None:
    with pytest.raises(UsageError, match="is not a time"):
        when(text, NOW)
