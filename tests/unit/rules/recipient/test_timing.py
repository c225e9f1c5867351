"""When rows expire: the windows of `docs/domain.md §2.7`."""

import pytest

from aftersend.rules.recipient.timing import (
    DAY,
    DEFAULT_WINDOW,
    HOUR,
    SEND_START,
    closing_times,
    replaces,
    terms_of,
    timing,
    windows_of,
)
from aftersend.schemas.delivery import Declaration, DeliveryTerms


def test_sources_without_a_window_of_their_own_have_the_default() -> None:
    windows = timing(windows={"slow": 72 * HOUR}, numbers={"slow": 1, "kumomta": 2}).windows

    assert (48 * HOUR, 72 * HOUR, 48 * HOUR) == windows[:3]
    assert 48 * HOUR == DEFAULT_WINDOW == windows[0], "of a source that nobody knows"


def test_the_default_can_be_set() -> None:
    windows = timing(window=HOUR, windows={"slow": 72 * HOUR}, numbers={"slow": 1, "kumomta": 2}).windows

    assert (HOUR, 72 * HOUR, HOUR) == windows[:3]


def test_defaults() -> None:
    assert (30 * DAY, 120 * DAY) == (timing().freeze, timing().retention)


def test_rows_are_not_forgotten_before_they_are_frozen() -> None:
    with pytest.raises(ValueError, match="retention"):
        timing(freeze=2 * DAY, retention=DAY)
    assert DAY == timing(freeze=DAY, retention=DAY).retention


SETTINGS = timing(freeze=30 * DAY, retention=120 * DAY, numbers={"sendgrid": 1})


@pytest.mark.parametrize(
    "terms, closes",
    [
        (None, (31, 121)),
        (DeliveryTerms(0.0, "e"), (31, 121)),
        (DeliveryTerms(0.0, "e", validity=HOUR), (31, 121)),
        (DeliveryTerms(0.0, "e", freeze=2 * DAY), (3, 121)),
        (DeliveryTerms(0.0, "e", start=10 * DAY), (40, 130)),
        (DeliveryTerms(0.0, "e", freeze=2 * DAY, start=0.0), (2, 120)),
        (DeliveryTerms(0.0, "e", freeze=200 * DAY), (201, 201)),
    ],
)
def test_a_delivery_closes_by_what_was_declared_else_by_the_settings(
    terms: DeliveryTerms | None, closes: tuple[float, float]
) -> None:
    """Days; it starts on day 1, and is never forgotten before its freeze."""
    assert closes == tuple(at / DAY for at in closing_times(DAY, terms, SETTINGS))


def test_a_declared_validity_holds_for_all_sources() -> None:
    assert SETTINGS.windows == windows_of(None, SETTINGS) == windows_of(DeliveryTerms(0.0, "e", start=5.0), SETTINGS)
    assert {HOUR} == set(windows_of(DeliveryTerms(0.0, "e", validity=HOUR), SETTINGS)[:SEND_START])
    assert len(SETTINGS.windows) == len(windows_of(DeliveryTerms(0.0, "e", validity=HOUR), SETTINGS))


def test_terms_are_in_seconds() -> None:
    declaration = Declaration("n", validity_hours=1.5, statistics_update_period_days=2, start=7.0)
    assert DeliveryTerms(5.0, "e", 1.5 * HOUR, 2 * DAY, 7.0) == terms_of(declaration, 5.0, "e")
    assert DeliveryTerms(5.0, "e") == terms_of(Declaration("n"), 5.0, "e")


def test_the_later_declaration_holds_whatever_their_order() -> None:
    first, second = DeliveryTerms(5.0, "b"), DeliveryTerms(6.0, "a")
    assert replaces(first, None)
    assert replaces(second, first)
    assert not replaces(first, second)
    assert replaces(DeliveryTerms(5.0, "c"), first), "of the same moment: one and the same of them, always"
    assert not replaces(DeliveryTerms(9.0, "b"), first), "the same again"
