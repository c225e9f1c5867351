"""Times as sources write them."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aftersend.sources.base import SourceError
from aftersend.sources.parsing.times import rfc3339


@pytest.mark.parametrize(
    "text,seconds",
    [
        ("1970-01-01T00:00:00Z", 0.0),
        ("2025-09-12T11:08:01.440526026Z", 1757675281.440526),
        ("2025-09-12T13:08:01.440526+02:00", 1757675281.440526),
        ("2025-09-12 11:08:01", 1757675281.0),
        ("2025-09-12", 1757635200.0),
    ],
)
def test_seconds_since_1970(text: str, seconds: float) -> None:
    assert seconds == rfc3339(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "1757675281",
        "1969-12-31T23:59:59Z",
        "0001-01-01T00:00:00+23:59",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
    ],
)
def test_no_time(text: str) -> None:
    with pytest.raises(SourceError, match="not a time"):
        rfc3339(text)


@given(st.text(max_size=40))
def test_no_other_error_for_junk(text: str) -> None:
    with contextlib.suppress(SourceError):
        rfc3339(text)
