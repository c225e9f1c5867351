"""One mailbox of RFC 5322: names, comments and punctuation around an address, and what is not one address."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aftersend.sources.parsing.mailbox import MAX_MAILBOX, read_mailbox

ONE = "spam@example.org"
SAME = [
    ONE,
    f"<{ONE}>",
    f" \t{ONE}\r\n",
    f'"Ana" <{ONE}>',
    f"Ana <{ONE}>",
    f"Ana<{ONE}>",
    f'"Doe, Jane" <{ONE}>',
    f"Doe, Jane <{ONE}>",
    f'"Doe \\"JD\\" Jane" <{ONE}>',
    f'"jane@example.com" <{ONE}>',
    f"{ONE} <{ONE}>",
    f"{ONE.upper()} <{ONE}>",
    f"Ana (sales) Diaz <{ONE}>",
    f"Ana O'Hara <{ONE}>",
    f"Ana Müller [Bonn] <{ONE}>",
    f"{ONE} (Ana)",
    f"(Ana (of (Bonn))) {ONE}",
    "spam(Ana)@(Bonn)example.org",
    "spam @ example . org",
    '"spam"@example.org',
    '"sp\\am"@example.org',
    f"{ONE},",
    f"{ONE} ; ",
    f"{ONE}.",
    f"{ONE}:",
    f"<{ONE}>,",
    f"'{ONE}'",
    f"“{ONE}”",
    f"«{ONE}»",
    f'"{ONE}"',
    f"mailto:{ONE}",
    f"MailTo:{ONE}?subject=Hello%20you",
    "mailto:spam%40example.org",
    f"<mailto:{ONE}>",
    f"{ONE} <mailto:{ONE}>",
    f"\ufeff{ONE}",
    f"\u200b{ONE}\u2060",
    "sp\u00adam@exa\u200bmple.org",
    f"\u202a{ONE}\u202c",
    f"\u00a0{ONE}\u3000",
]
NONE = [
    "",
    "  ",
    "spam",
    "spam@",
    "@example.org",
    "spam@@example.org",
    "spam@example@org",
    "spam example.org",
    "spam at example.org",
    "ana spam@example.org",
    "spam@example.org Ana",
    "spam@example.org, joe@example.org",
    "spam@example.org;joe@example.org",
    "spam@example.org joe@example.org",
    "spam@example.org\njoe@example.org",
    "<spam@example.org> <joe@example.org>",
    "Ana <spam@example.org>, Joe <joe@example.org>",
    "joe@example.org <spam@example.org>",
    "Team: spam@example.org;",
    "Team: Ana <spam@example.org>;",
    "Team: <spam@example.org>",
    "undisclosed-recipients:;",
    "<spam@example.org",
    "spam@example.org>",
    "<<spam@example.org>>",
    "<spam@example.org> Ana",
    "<@relay.example:spam@example.org>",
    "(spam@example.org)",
    "spam@example.org (Ana",
    "spam@example.org Ana)",
    '"Ana <spam@example.org>',
    '"O"Brien" <spam@example.org>',
    "spam@[192.0.2.1]",
    ".spam@example.org",
    "spam.@example.org",
    "spam..ana@example.org",
    'spam."ana"@example.org',
    "smtp:spam@example.org",
    "mailto:spam@example.org,joe@example.org",
    '<a href="mailto:spam@example.org">spam@example.org</a>',
    "x" * MAX_MAILBOX + "@example.org",
]


@pytest.mark.parametrize("text", SAME)
def test_what_stands_around_an_address_is_no_part_of_it(text: str) -> None:
    assert ONE == read_mailbox(text)


@pytest.mark.parametrize("text", NONE)
def test_what_is_not_exactly_one_address_is_none(text: str) -> None:
    assert not read_mailbox(text)


@pytest.mark.parametrize("text", ['"spam ana"@example.org', '"spam@ana"@example.org', '"a\\"b"@example.org'])
def test_quotes_that_a_local_part_needs_are_kept(text: str) -> None:
    assert text == read_mailbox(f"Ana <{text}>")


@given(st.text('spam@example.org<>"\\(),;: \u00ad\u200b', max_size=40))
@example('"\\')
@example("(\\")
def test_any_text_gives_one_at_sign_outside_of_quotes_or_nothing(text: str) -> None:
    address = read_mailbox(text)
    assert not address or read_mailbox(address) == address
