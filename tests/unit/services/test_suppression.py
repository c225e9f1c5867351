"""Addresses of lines or CSV."""

import pytest

from aftersend.errors import UsageError
from aftersend.services.suppression import AddressQuery, read_addresses


def keys(text: str) -> list[str]:
    return [one.recipient for one in read_addresses(text.splitlines(keepends=True), "test")]


def test_one_address_a_line() -> None:
    assert ["jane@example.org", "joe@example.org"] == keys("Jane@Example.org\n\n  joe@example.org \n")


def test_the_spelling_is_kept_for_the_answer() -> None:
    assert [AddressQuery("Jane@Example.org", "jane@example.org")] == list(
        read_addresses(["Jane@Example.org\n"], "test")
    )


@pytest.mark.parametrize("heading", ["email", "Recipient", "\ufeffE-Mail", "address"])
def test_the_column_with_the_heading(heading: str) -> None:
    assert ["jane@example.org"] == keys(f"{heading},name\njane@example.org,Jane\n")
    assert ["jane@example.org"] == keys(f'name,{heading.strip(chr(0xFEFF))}\n"Doe, Jane",jane@example.org\n')


def test_without_headings_it_is_the_first_column() -> None:
    assert ["jane@example.org", "joe@example.org"] == keys("jane@example.org,Jane\njoe@example.org,Joe\n")


@pytest.mark.parametrize("text", ["nobody", "@example.org", "jane@", '"a\tb"@example.org', "x" * 2000 + "@example.org"])
def test_text_that_is_not_an_address_has_no_recipient(text: str) -> None:
    assert [""] == keys(f"{text},\n")


def test_a_row_that_is_too_short_has_no_address() -> None:
    assert ["", "joe@example.org"] == keys("name,email\nJane\nJoe,joe@example.org\n")


def test_addresses_that_come_twice_are_answered_twice() -> None:
    assert 2 == len(keys("jane@example.org\njane@example.org\n"))


def test_invalid_csv_is_an_error_with_the_line() -> None:
    with pytest.raises(UsageError, match="test: line 2"):
        keys("jane@example.org\n" + "x" * 200_000 + "\n")
