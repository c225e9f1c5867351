"""Addresses in one spelling."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aftersend.sources.base import SourceError
from aftersend.sources.parsing.address import MAX_LENGTH, mailbox, normalise


@pytest.mark.parametrize(
    "spelled,normal",
    [
        ("user@example.com", "user@example.com"),
        ("User@Example.COM", "user@example.com"),
        ("<user@example.com>", "user@example.com"),
        (" user@example.com\r\n", "user@example.com"),
        ("user@example.com.", "user@example.com"),
        ("user@bücher.example", "user@xn--bcher-kva.example"),
        ("user@BÜCHER.example", "user@xn--bcher-kva.example"),
        ("user@XN--BCHER-KVA.example", "user@xn--bcher-kva.example"),
        ("user@例え。テスト", "user@xn--r8jz45g.xn--zckzah"),
        # One letter, or a letter and its accent: the same address.
        ("jos\u00e9@example.com", "jos\u00e9@example.com"),
        ("jose\u0301@example.com", "jos\u00e9@example.com"),
        ("JOSÉ@example.com", "jos\u00e9@example.com"),
        ('"A B"@example.com', '"a b"@example.com'),
        # Quotes that are not needed, a name beside the address, and what nobody sees.
        ('"user"@example.com', "user@example.com"),
        ('"us\\er"@example.com', "user@example.com"),
        ('"A\\B"@example.com', "ab@example.com"),
        ('"a\\"b"@example.com', '"a\\"b"@example.com'),
        ("Jane Doe <user@example.com>", "user@example.com"),
        ('"Jane <x@y>" <user@example.com>', "user@example.com"),
        ("\ufeffus\u200ber@exam\u00adple.com", "user@example.com"),
        ("_x+tag@example.com", "_x+tag@example.com"),
        # No domain that IDNA allows: kept, but in one case.
        ("user@☃.Example", "user@☃.example"),
        ("user@a_b.example", "user@a_b.example"),
        # What an asynchronous bounce of a gateway calls a recipient.
        ("Nair_S", "nair_s"),
        ("", ""),
        ("<>", ""),
    ],
)
def test_one_spelling(spelled: str, normal: str) -> None:
    assert normal == normalise(spelled)


@pytest.mark.parametrize(
    "address", ["us\ter@example.com", "user\x00@example.com", "user@exam\x7fple.com", "a\nb@é.com"]
)
def test_a_control_character_is_refused(address: str) -> None:
    """Keys of the tables are divided by one."""
    with pytest.raises(SourceError, match=r"recipient has the control character \d+ at position \d+"):
        normalise(address)


@pytest.mark.parametrize("local", ["a", "é"])
def test_what_is_too_long_for_a_key_is_refused(local: str) -> None:
    with pytest.raises(SourceError, match="characters long"):
        normalise(local * MAX_LENGTH + "@example.com")


@given(st.text(max_size=60) | st.emails())
@example("<<a@b.>.>")
@example("a@b。")
@example("İ@İ.com")
def test_normalising_twice_changes_nothing(address: str) -> None:
    """Or the same person would have two keys."""
    try:
        normal = normalise(address)
    except SourceError:
        return
    assert normal == normalise(normal)
    assert not any(c < " " or c == "\x7f" for c in normal)


@given(st.emails())
def test_case_makes_no_difference(address: str) -> None:
    assert normalise(address) == normalise(address.upper()) == normalise(address.lower())


@pytest.mark.parametrize(
    "spelled,address",
    [
        ("user@example.com", "user@example.com"),
        ("<user@example.com>", "user@example.com"),
        ("User <user@example.com>", "user@example.com"),
        ('"U <x@y>" <user@example.com>', "user@example.com"),
        ("user@example.com>", "user@example.com"),
        ("", ""),
    ],
)
def test_the_address_beside_a_name(spelled: str, address: str) -> None:
    assert address == mailbox(spelled)


def test_marks_without_end_are_refused_before_anything_is_done_with_them() -> None:
    """Normalising them takes time that grows with the square of their number."""
    with pytest.raises(SourceError, match="characters long"):
        normalise("a@" + "\u0301" * 200_000)
    with pytest.raises(SourceError, match="more than 30 combining marks in a row"):
        normalise("a@" + "\u0301" * 400)
