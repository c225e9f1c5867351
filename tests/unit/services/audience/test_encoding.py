"""Encodings: by byte order mark, by all bytes, and by words; what is uncertain is an error."""

from __future__ import annotations

import codecs
import io

import pytest

from aftersend.errors import UsageError
from aftersend.services.audience.encoding import Encoding, detect_encoding

WESTERN = "name;email\nJosé Müller;jose@example.org\nZoë Ä \u2013 “x”;zoe@example.org\n"
CYRILLIC = """имя;почтамт
Иванов Пётр и Юлия;ivanov@example.org
ЗАВОД Ромашка;info@example.org
"""
TEXTS = [
    (WESTERN.encode(), Encoding("utf-8")),
    (CYRILLIC.encode(), Encoding("utf-8")),
    (b"jane@example.org\n", Encoding("utf-8")),
    (b"", Encoding("utf-8")),
    (WESTERN.encode("utf-8-sig"), Encoding("utf-8-sig")),
    (WESTERN.encode("utf-16"), Encoding("utf-16")),
    (codecs.BOM_UTF16_BE + CYRILLIC.encode("utf-16-be"), Encoding("utf-16")),
    (WESTERN.encode("utf-32"), Encoding("utf-32")),
    (WESTERN.encode("utf-16-le"), Encoding("utf-16-le")),
    (WESTERN.encode("utf-16-be"), Encoding("utf-16-be")),
    (CYRILLIC.encode("utf-16-le"), Encoding("utf-16-le")),
    (CYRILLIC.encode("utf-16-be"), Encoding("utf-16-be")),
    (WESTERN.encode("cp1252"), Encoding("cp1252", guessed=True)),
    (CYRILLIC.encode("cp1251"), Encoding("cp1251", guessed=True)),
    # Nothing but signs that both code pages have.
    ("a \u2013 “b”;c@example.org\n".encode("cp1252"), Encoding("cp1252", guessed=True)),
]


def detect(content: bytes, declared: str = "") -> Encoding:
    return detect_encoding(io.BytesIO(content), "file", declared)


@pytest.mark.parametrize("content, encoding", TEXTS)
def test_the_encoding_is_detected(content: bytes, encoding: Encoding) -> None:
    assert encoding == detect(content)


@pytest.mark.parametrize(
    "content",
    [
        CYRILLIC.encode("koi8-r"),
        CYRILLIC.encode("cp866"),
        CYRILLIC.encode("iso8859-5"),
        "imię;e-mail\nŁódź Gdańsk;a@example.org\n".encode("cp1250"),
        "名前;メール\n山田太郎;a@example.org\n".encode("cp932"),
        "姓名;邮箱\n张伟李娜;a@example.org\n".encode("gbk"),
        # Half a character of UTF-8, and UTF-8 beside a code page.
        WESTERN.encode() + "é".encode()[:1],
        WESTERN.encode() + WESTERN.encode("cp1252"),
        # One letter that is a word in French and another one in Russian.
        "x;à;a@example.org\n".encode("cp1252"),
        (WESTERN + "z").encode("cp1252") + CYRILLIC.encode("cp1251"),
        b"a@example.org\n\x00\x01\x02\x03binary",
    ],
)
def test_an_uncertain_encoding_is_an_error_that_names_the_option(content: bytes) -> None:
    with pytest.raises(UsageError, match="--encoding"):
        detect(content)


def test_bytes_at_the_end_of_a_long_file_count() -> None:
    assert Encoding("cp1252", guessed=True) == detect(b"jane@example.org\n" * 200_000 + "Müller\n".encode("cp1252"))
    assert Encoding("utf-8") == detect(b"x" * ((1 << 20) - 1) + "é".encode())


@pytest.mark.parametrize("declared, name", [("cp1252", "cp1252"), ("Latin-1", "iso8859-1"), ("koi8-r", "koi8-r")])
def test_a_declared_encoding_is_taken(declared: str, name: str) -> None:
    assert Encoding(name) == detect(CYRILLIC.encode("koi8-r"), declared)


def test_a_declared_encoding_without_byte_order_takes_that_of_the_file() -> None:
    assert Encoding("utf-16-be") == detect(WESTERN.encode("utf-16-be"), "utf-16")
    assert Encoding("utf-16") == detect(WESTERN.encode("utf-16"), "utf-16-le")
    assert Encoding("utf-8-sig") == detect(WESTERN.encode("utf-8-sig"), "utf8")


@pytest.mark.parametrize("declared", ["klingon", "base64", "cp1252"])
def test_a_declared_encoding_that_can_not_be_right_is_an_error(declared: str) -> None:
    with pytest.raises(UsageError, match="--encoding"):
        detect(WESTERN.encode("utf-8-sig"), declared)
