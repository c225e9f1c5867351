"""Times in public output: whatever is stored, something is shown."""

import time
from collections.abc import Iterator

import pytest

from aftersend.schemas.times import END_OF_TIME, in_this_zone, iso


@pytest.fixture(params=["Pacific/Kiritimati", "Etc/GMT+12", "UTC"])
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    "seconds, text",
    [
        (1757675281.44, "2025-09-12T11:08:01.440Z"),
        (-1.0, "1969-12-31T23:59:59.000Z"),
        (END_OF_TIME, "9999-12-31T23:59:59.000Z"),
        (END_OF_TIME + 86_400.0, "9999-12-31T23:59:59.000Z"),
        (1e300, "9999-12-31T23:59:59.000Z"),
        (float("inf"), "9999-12-31T23:59:59.000Z"),
        (-62_135_647_200.0, "0001-01-01T00:00:00.000Z"),
        (-1e300, "0001-01-01T00:00:00.000Z"),
        (0.0, None),
        (None, None),
    ],
)
def test_a_time_that_no_date_can_hold_is_shown_as_the_nearest(seconds: float | None, text: str | None) -> None:
    assert text == iso(seconds)


@pytest.mark.usefixtures("zone")
@pytest.mark.parametrize("seconds", [-1e300, -62_135_596_800.0, 1.0, END_OF_TIME, 1e300])
def test_every_zone_can_show_every_time(seconds: float) -> None:
    shown = in_this_zone(seconds)

    assert abs(shown.timestamp() - min(max(seconds, -62_135_596_800.0), END_OF_TIME)) < 1.0
