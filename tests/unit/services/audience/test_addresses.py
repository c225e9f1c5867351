"""Validity of addresses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aftersend.services.audience.addresses import _MARKS, is_valid, key_of, read_address

GOOD = [
    "jane@example.org",
    "o'hara+news@mail.example.co.uk",
    "user.name@sub-domain.example",
    '"jane doe"@example.org',
    "jané@example.org",
    "Jane@BÜCHER.example",
    "a@1.example",
    f"{'a' * 64}@example.org",
]
BAD = [
    "jane",
    "jane@",
    "@example.org",
    "jane@example",
    "jane@@example.org",
    "jane doe@example.org",
    "jane@exa mple.org",
    ".jane@example.org",
    "jane..doe@example.org",
    "jane@-example.org",
    "jane@example-.org",
    "jane@example..org",
    "jane@192.168.1.1",
    "jane@exam_ple.org",
    "jane@example.org,joe@example.org",
    f"{'a' * 65}@example.org",
    f"a@{'b' * 64}.org",
    f"a@{'b.' * 130}org",
]


@pytest.mark.parametrize("address", GOOD)
def test_valid_addresses_are_accepted(address: str) -> None:
    assert is_valid(key_of(address))


@pytest.mark.parametrize("address", BAD)
def test_invalid_addresses_are_rejected(address: str) -> None:
    assert not is_valid(key_of(address))


@pytest.mark.parametrize("address", ["", "  ", "<>", "a\x00b@example.org", "x" * 600 + "@example.org"])
def test_text_without_a_usable_key_is_rejected(address: str) -> None:
    assert not key_of(address)


UNREADABLE = [
    "jane@example.org, joe@example.org",
    "Team: jane@example.org;",
    "'jane@example.org",
    "*jane@example.org",
    "jan?@example.org",
    "•jane@example.org",
    "\u2013jane@example.org",
    "ﬁona@example.org",
    "\uff4aane@example.org",
    "jane\uff20example.org",
    "jane@example.org\x00",
    "a" * 65 + "@example.org",
]


@pytest.mark.parametrize("text", [*BAD, *UNREADABLE])
def test_what_is_not_one_valid_address_is_not_read(text: str) -> None:
    assert not read_address(text)


@pytest.mark.parametrize("address", GOOD)
def test_a_valid_address_is_read_in_one_spelling(address: str) -> None:
    assert key_of(address) == read_address(address) == read_address(f'"N" <{address}>') == read_address(key_of(address))


@given(
    st.from_regex(r"[A-Za-z0-9_+.'-]{1,66}@[A-Za-z0-9.-]{1,20}\.[A-Za-z0-9]{1,4}", fullmatch=True)
    | st.emails()
    | st.text("aB@.\"<>,;' üﬁ\u200b\u00ad", max_size=20)
)
def test_reading_agrees_with_the_workers_and_with_itself(text: str) -> None:
    recipient = read_address(text)
    if recipient:
        assert is_valid(recipient)
        assert recipient == read_address(recipient) == key_of(recipient)
    elif is_valid(key := key_of(text)):
        assert not key.isascii() or key[0] in _MARKS or "?" in key or key != text.lower()
