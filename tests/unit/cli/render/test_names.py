"""Names of deliveries in narrow columns."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aftersend.cli.render.names import apart

REMINDERS = ("autumn-sale-reminder-de", "autumn-sale-reminder-en", "welcome")


def test_a_name_that_fits_is_shown_whole() -> None:
    assert {name: name for name in REMINDERS} == apart(REMINDERS, 23)


def test_a_long_name_that_nothing_resembles_loses_its_end() -> None:
    assert {"autumn-sale-reminder-de": "autumn-s…", "welcome": "welcome"} == apart(
        ("autumn-sale-reminder-de", "welcome"), 9
    )


def test_names_that_begin_alike_keep_their_ends() -> None:
    assert {
        "autumn-sale-reminder-de": "autum…r-de",
        "autumn-sale-reminder-en": "autum…r-en",
        "welcome": "welcome",
    } == apart(REMINDERS, 10)


@pytest.mark.parametrize("width", [6, 8, 20])
def test_names_that_differ_in_the_middle_only_are_numbered(width: int) -> None:
    names = [f"{'x' * 30}{letter}{'y' * 30}" for letter in "abc"]

    assert ["…1", "…2", "…3"] == [text[-2:] for text in apart(names, width).values()]


@given(st.lists(st.text(st.sampled_from("ab-"), max_size=30), unique=True, max_size=20), st.integers(4, 40))
def test_different_names_are_shown_differently_and_fit(names: list[str], width: int) -> None:
    shown = apart(names, width)

    assert len(names) == len(set(shown.values()))
    assert all(len(text) <= width for text in shown.values())
