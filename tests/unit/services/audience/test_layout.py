"""Layouts: separator, headings and column, detected or declared; what is uncertain is an error that names an option."""

from __future__ import annotations

import pytest

from aftersend.errors import UsageError
from aftersend.services.audience.layout import SAMPLE_CHARACTERS, FileOptions, Layout, detect_layout


def layout(text: str, **options: str) -> Layout:
    return detect_layout(text, "file", FileOptions(**options))


def short(found: Layout) -> tuple[str, int, bool]:
    return found.separator, found.columns.address, found.columns.headings


DETECTED = [
    ("email\na@x.example\n", ("", 0, True)),
    ("a@x.example\nb@x.example", ("", 0, False)),
    ("nobody\n", ("", 0, False)),
    ("name,email\nA,a@x.example\n", (",", 1, True)),
    ("Name;E-Mail;Ort\r\nA;a@x.example;Bonn\r\n", (";", 1, True)),
    ("id\tRecipient\tname\n1\ta@x.example\tA\n", ("\t", 1, True)),
    ("name|Email Address\nA|a@x.example\n", ("|", 1, True)),
    ("1|a@x.example\n2|b@x.example\n", ("|", 1, False)),
    ("Имя;Почта\nЮлия;a@x.example\n", (";", 1, True)),
    ("Nombre;Correo electrónico\nA;a@x.example\n", (";", 1, True)),
    ("Jane,a@x.example\nJo,b@x.example\n", (",", 1, False)),
    # Separators within values.
    ('"Doe, Jane";a@x.example\n"Roe, Jo";b@x.example\n', (";", 1, False)),
    ("Doe, Jane;a@x.example\nRoe, Jo;b@x.example\n", (";", 1, False)),
    ("Last, first;e-mail;sum\nDoe, Jane;a@x.example;1,50\n", (";", 1, True)),
    ("email;sum\na@x.example;1,5\n", (";", 0, True)),
    ("tags,email\na|b;c,a@x.example\n", (",", 1, True)),
    # Names beside addresses.
    ('"Doe, Jane" <a@x.example>\n"Roe" <b@x.example>\n', ("", 0, False)),
    ("Doe, Jane <a@x.example>\nRoe, Jo <b@x.example>\n", ("", 0, False)),
    ("Doe, Jane <a@x.example>\nJo <b@x.example>\n", ("", 0, False)),
    ('contact;id\n"Doe; Jane" <a@x.example>;1\n', (";", 0, True)),
    # The heading decides between columns of addresses, the content between headings.
    ("email,manager\na@x.example,b@x.example\n", (",", 0, True)),
    ("address,email\n1 High Street,a@x.example\n", (",", 1, True)),
    ("Address,contact\n1 High Street,a@x.example\n", (",", 1, True)),
    ("Email opt-in,Email\nyes,a@x.example\n", (",", 1, True)),
    ("Email opt-in,person\nyes,a@x.example\n", (",", 1, True)),
    ("who,nr\na@x.example,1\n", (",", 0, True)),
    # Without any address.
    ("name;email\nA;nobody\n", (";", 1, True)),
    ("name,email\n", (",", 1, True)),
    ("email\n", ("", 0, True)),
    # One address a line, though some lines have several.
    ("email\na@x.example; b@x.example\nc@x.example\n", ("", 0, True)),
    # Excel's line with the separator.
    ("sep=;\r\nemail;a,b\r\na@x.example;c,d\r\n", (";", 0, True)),
    # Blank lines before the headings.
    ("\n;;\nname;email\nA;a@x.example\n", (";", 1, True)),
]


@pytest.mark.parametrize("text, found", DETECTED)
def test_a_layout_is_detected(text: str, found: tuple[str, int, bool]) -> None:
    assert found == short(layout(text))


UNCERTAIN = [
    ("a@x.example,b@x.example\n", "--address-column"),
    ("email;mail\na@x.example;b@x.example\n", "--address-column to one of 'email', 'mail'"),
    ("a;b\na@x.example;b@x.example\n", "--address-column to one of 'a', 'b'"),
    ("Mail,Kontakt\nyes,a@x.example\n", "--address-column"),
    ("name,city\nJane,Bonn\n", "--address-column"),
    ("nobody,\n", "--address-column"),
    ("a@x.example;c,b@x.example\n", "--separator"),
    ("Report of May\nname;email\nA;a@x.example\nB;b@x.example\n", "--separator"),
    ("name,email\nDoe, Jane,a@x.example\nRoe, Jo,b@x.example\n", "--address-column"),
    ("name,manager,email\nDoe, Jane,a@x.example,b@x.example\nRoe, Jo,b@x.example,c@x.example\n", "--separator"),
]


@pytest.mark.parametrize("text, option", UNCERTAIN)
def test_an_uncertain_layout_is_an_error_that_names_the_option(text: str, option: str) -> None:
    with pytest.raises(UsageError, match=option):
        layout(text)


DECLARED = [
    ("a@x.example;b@x.example\n", {"address_column": "2"}, (";", 1, False)),
    ("work;home\na@x.example;b@x.example\n", {"address_column": "HOME "}, (";", 1, True)),
    ("work;home\na@x.example;b@x.example\n", {"address_column": "2"}, (";", 1, True)),
    ("2;1\na@x.example;b@x.example\n", {"address_column": "1"}, (";", 1, True)),
    ("a@x.example;c,b@x.example\n", {"separator": ";"}, (";", 0, False)),
    ("name^email\nA^a@x.example\n", {"separator": "^"}, ("^", 1, True)),
    ("name\temail\nA\ta@x.example\n", {"separator": "\\t"}, ("\t", 1, True)),
    ("sep=,\nemail;name\na@x.example;A\n", {"separator": ";"}, (";", 0, True)),
]


@pytest.mark.parametrize("text, options, found", DECLARED)
def test_what_is_declared_is_taken(text: str, options: dict[str, str], found: tuple[str, int, bool]) -> None:
    assert found == short(layout(text, **options))


@pytest.mark.parametrize(
    "text, options, words",
    [
        ("name,email\n", {"address_column": "mail"}, "no column 'mail'; the first line has 'name', 'email'"),
        ("name,email\n", {"address_column": "3"}, "no column 3; the file has 2"),
        ("name,email\n", {"address_column": "0"}, "no column 0"),
        ("name,email\n", {"address_column": "9" * 5000}, "no column 9"),
        ("email,email\n", {"address_column": "email"}, "give the number"),
        ("name,email\n", {"test_column": "test"}, "--test-column"),
        ("name,email\n", {"separator": ";;"}, "--separator is one character"),
        ("name,email\n", {"separator": '"'}, "--separator is one character"),
    ],
)
def test_an_option_that_can_not_be_right_is_an_error(text: str, options: dict[str, str], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        layout(text, **options)


def test_the_test_column_is_found_by_heading_or_number() -> None:
    assert 2 == layout("name,email,Test?\n", test_column="test?").columns.test
    assert 2 == layout("name,email,Test?\n", test_column="3").columns.test


@pytest.mark.parametrize("text", ["", "\n\n", ";;\n", "\ufeff\n"])
def test_text_without_values_has_an_empty_layout(text: str) -> None:
    assert layout(text).empty


def test_a_sample_may_end_within_a_row() -> None:
    rows = "name;email\n" + '"A\nB";a@x.example\n' * SAMPLE_CHARACTERS
    assert all((";", 1, True) == short(layout(rows[: SAMPLE_CHARACTERS - cut])) for cut in range(20))
