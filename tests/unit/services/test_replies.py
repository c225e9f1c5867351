"""Replies of receiving servers, with each code once."""

import pytest

from aftersend.services.replies import reply_text


@pytest.mark.parametrize(
    "code, enhanced_code, diagnostic, expected",
    [
        (550, "5.1.1", "550 5.1.1 no such user", "550 5.1.1 no such user"),
        (550, "5.1.1", "550-5.1.1 no such user", "550 5.1.1 no such user"),
        (550, "5.1.1", "smtp; 550 5.1.1 no such user", "550 5.1.1 no such user"),
        (550, "5.1.1", "5.1.1 no such user", "550 5.1.1 no such user"),
        (550, "5.1.1", "550 no such user", "550 5.1.1 no such user"),
        (550, "5.1.1", "no such user", "550 5.1.1 no such user"),
        (0, "", "550 5.1.1 no such user", "550 5.1.1 no such user"),
        (550, "5.1.1", "", "550 5.1.1"),
        (550, "", "550", "550"),
        (0, "", "no such user", "no such user"),
        (0, "", "", ""),
        (452, "4.2.2", "550 5.1.1 of an earlier attempt", "452 4.2.2 550 5.1.1 of an earlier attempt"),
        (550, "5.1.1", "5.1.10 null MX", "550 5.1.1 5.1.10 null MX"),
    ],
)
def test_no_code_is_said_twice(code: int, enhanced_code: str, diagnostic: str, expected: str) -> None:
    assert expected == reply_text(code, enhanced_code, diagnostic)
