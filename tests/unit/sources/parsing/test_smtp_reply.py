"""Codes out of the texts of replies."""

import pytest

from aftersend.sources.parsing.bounce_classes import Status
from aftersend.sources.parsing.smtp_reply import read_reply, spell


@pytest.mark.parametrize(
    "text,status,expected",
    [
        ("550 5.1.1 No such user", "", (550, "5.1.1")),
        ("550-5.1.1 The email account", "", (550, "5.1.1")),
        ("550 #5.1.0 Address rejected.", "", (550, "5.1.0")),
        (" smtp; 550 5.1.1 user unknown", "", (550, "5.1.1")),
        ("SMTP;452 4.2.2 full", "", (452, "4.2.2")),
        ("250 OK", "", (250, "")),
        ("250 2.0.0 OK", "", (250, "")),
        ("5.7.1 no", "", (0, "5.7.1")),
        ("550 5.1.1 No such user", "5.0.0", (550, "5.0.0")),
        ("No such user", "550", (550, "")),
        ("No such user", "5.1.1", (0, "5.1.1")),
        ("450", "bad", (450, "")),
        ("5501 messages", "", (0, "")),
        ("100 years", "", (0, "")),
        ("550 192.0.2.1 is listed", "", (550, "")),
        ("550 5.1.1.1", "", (550, "")),
        ("\u0665\u0665\u0660 5.1.1", "", (0, "")),
        ("", "", (0, "")),
    ],
)
def test_replies(text: str, status: str, expected: tuple[int, str]) -> None:
    code, enhanced = read_reply(text, status)
    assert expected == (code, spell(enhanced))


def test_a_success_is_read_but_not_spelled() -> None:
    assert (250, Status(2, 0, 0)) == read_reply("250 2.0.0 OK")
    assert "" == spell(None)
