"""Values that are spelled now one way and now another."""

import pytest

from aftersend.sources.base import SourceError
from aftersend.sources.parsing.lenient import flag, mapping, seconds, sequence, text


@pytest.mark.parametrize(
    "value,expected",
    [("a", "a"), (7, "7"), (1.5, "1.5"), (None, ""), (True, ""), ([], ""), ({}, "")],
)
def test_text(value: object, expected: str) -> None:
    assert expected == text(value)


@pytest.mark.parametrize(
    "value,expected",
    [
        (True, True),
        (False, False),
        ("True", True),
        (" 0 ", False),
        (1, True),
        (0, False),
        ("yes", None),
        (None, None),
        (1.0, None),
        ([], None),
    ],
)
def test_flag(value: object, expected: bool | None) -> None:
    assert expected is flag(value)


def test_mapping_and_sequence() -> None:
    assert [{"a": 1}, {}, {}] == [mapping({"a": 1}), mapping([]), mapping(None)]
    assert [[1], ["a"], []] == [sequence([1]), sequence("a"), sequence(None)]


@pytest.mark.parametrize(
    "value,expected",
    [
        (0, 0.0),
        (1757675281.5, 1757675281.5),
        ("1757675281", 1757675281.0),
        ("2025-09-12T11:08:01.5Z", 1757675281.5),
        (None, 0.0),
        ("", 0.0),
    ],
)
def test_seconds(value: object, expected: float) -> None:
    assert expected == seconds(value)


@pytest.mark.parametrize(
    "value", [-1, 1e300, 10**400, "nan", "inf", "-1", "soon", " ", "1" * 50, True, [], {}, "1757675281123"]
)
def test_no_seconds(value: object) -> None:
    with pytest.raises(SourceError, match="not a time"):
        seconds(value)
