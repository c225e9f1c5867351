"""Validity of addresses."""

from __future__ import annotations

import pytest

from aftersend.services.audience.addresses import is_valid, key_of

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
