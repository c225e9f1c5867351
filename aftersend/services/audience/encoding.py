"""Detects the encoding of a file: by its byte order mark, else by all of its bytes.

Text that is valid UTF-8 to its end is UTF-8. Other text is in a code page, and of these, Cyrillic (cp1251) and Western
European (cp1252) words are told apart by how letters beyond ASCII stand beside each other. Whatever is neither for sure
is an error: an address in the wrong code page is the address of somebody else.
"""

from __future__ import annotations

import codecs
import re
from typing import BinaryIO, Final, NamedTuple

from aftersend.errors import UsageError

#: Bytes that are read at a time.
_BLOCK: Final = 1 << 20
#: Words with bytes beyond ASCII by which a code page is detected.
_MAX_WORDS: Final = 10_000
#: Bytes of a word at most; longer ones are looked at in parts.
_MAX_WORD: Final = 100
#: Byte order marks, the longest first: that of UTF-32 begins like that of UTF-16.
_MARKS: Final = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
#: Encodings that a byte order mark is part of, by the encoding that it stands for.
_SAID_BY_MARK: Final = {
    "utf-8-sig": {"utf-8", "utf-8-sig"},
    "utf-16": {"utf-16", "utf-16-le", "utf-16-be"},
    "utf-32": {"utf-32", "utf-32-le", "utf-32-be"},
}
_WORD: Final = re.compile(rb"[A-Za-z\x80-\xff]{1,%d}" % _MAX_WORD)
#: Words of cp1251: lower case, with a capital at the beginning, or capitals only.
_CYRILLIC: Final = re.compile(
    rb"[\xc0-\xdf\xa8\xaa\xaf\xb2\xa5\xa1\xa3\xbd]?[\xe0-\xff\xb8\xba\xbf\xb3\xb4\xa2\xbc\xbe]+"
    rb"|[\xc0-\xdf\xa8\xaa\xaf\xb2\xa5\xa1\xa3\xbd]{2,}"
)
#: Words of cp1252: letters with and without accents.
_LATIN: Final = re.compile(rb"[A-Za-z\xc0-\xd6\xd8-\xf6\xf8-\xff\x8a\x8c\x8e\x9a\x9c\x9e\x9f\x83]+")
#: Signs that cp1251 and cp1252 have in common: quotation marks, dashes, no-break spaces and the like.
_COMMON: Final = bytes(
    byte
    for byte in range(0x80, 0x100)
    if bytes([byte]).decode("cp1251", "replace") == bytes([byte]).decode("cp1252", "replace")
)
_WITHOUT_COMMON: Final = bytes.maketrans(_COMMON, b" " * len(_COMMON))
#: Share of words that may speak for another code page: 1 of so many.
_DOUBTFUL: Final = 20
#: Share of null bytes in UTF-16 text: half of each character of ASCII.
_NULLS: Final = 10


class Encoding(NamedTuple):
    """Encoding of a file."""

    name: str
    #: Detected by words: what is beyond ASCII may be read wrongly.
    guessed: bool = False


def detect_encoding(file: BinaryIO, name: str, declared: str = "") -> Encoding:
    """Return the encoding of a file, which is read to its end unless its beginning says the encoding.

    Args:
        file: at its beginning; left anywhere.
        name: of the file, for error messages.
        declared: encoding by the option `--encoding`; "": none.

    Raises:
        UsageError: if the encoding is unknown or uncertain, or the file's byte order mark is of another one.
    """
    begin = file.read(_BLOCK)
    marked = next((encoding for mark, encoding in _MARKS if begin.startswith(mark)), "")
    if declared:
        return Encoding(_declared(declared, marked, begin, name))
    if marked:
        return Encoding(marked)
    if b"\x00" in begin:
        return Encoding(_utf16(begin, name))
    file.seek(0)
    return _by_bytes(file, name)


def _declared(declared: str, marked: str, begin: bytes, name: str) -> str:
    try:
        canonical = codecs.lookup(declared).name
        b"".decode(canonical)
    except LookupError as error:
        raise UsageError(f"--encoding: {error}") from error
    if marked and canonical not in _SAID_BY_MARK[marked]:
        raise UsageError(f"{name} begins with the byte order mark of {marked}: --encoding {declared} can't be right")
    if marked:
        return marked
    # Without a mark, Python would take the byte order of this machine.
    return _utf16(begin, name) if canonical == "utf-16" else canonical


def _utf16(begin: bytes, name: str) -> str:
    """Return the byte order of UTF-16 text without a mark, by where the null bytes of ASCII characters are."""
    even, odd = begin[::2].count(0), begin[1::2].count(0)
    if even + odd > len(begin) // _NULLS and min(even, odd) * _DOUBTFUL <= max(even, odd):
        return "utf-16-le" if odd > even else "utf-16-be"
    raise UsageError(
        f"{name} is no text in a known encoding: it has null bytes; save it as UTF-8, or give its --encoding"
    )


def _by_bytes(file: BinaryIO, name: str) -> Encoding:
    """Return UTF-8 if all bytes are, else the code page of the words."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    words: list[bytes] = []
    bad = -1
    position = 0
    while block := file.read(_BLOCK):
        pending = len(decoder.getstate()[0])
        if bad < 0 and (pending or not block.isascii()):
            try:
                decoder.decode(block)
            except UnicodeDecodeError as error:
                bad = position - pending + error.start
        if not block.isascii() and len(words) < _MAX_WORDS:
            words += _words(block)
        position += len(block)
    if bad < 0:
        try:
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            bad = position
    return Encoding("utf-8") if bad < 0 else Encoding(_code_page(words, name, bad), guessed=True)


def _words(block: bytes) -> list[bytes]:
    """Return words of a block with bytes beyond ASCII. A word that two blocks share counts as two."""
    found: list[bytes] = []
    for match in _WORD.finditer(block):
        if not match[0].isascii():
            found.append(match[0])
            if len(found) >= _MAX_WORDS:
                break
    return found


def _code_page(words: list[bytes], name: str, bad: int) -> str:
    """Return the code page of words that are not all UTF-8."""
    utf8 = cyrillic = latin = single = other = 0
    for whole in words:
        if _is_utf8(whole):
            utf8 += 1
            continue
        for word in whole.translate(_WITHOUT_COMMON).split():
            if word.isascii():
                continue
            if len(word) > 1 and _CYRILLIC.fullmatch(word):
                cyrillic += 1
            elif any(byte < 0x80 for byte in word) and _LATIN.fullmatch(word):  # noqa: PLR2004 - ASCII
                latin += 1
            else:
                # A single letter beyond ASCII is a word in both.
                single += len(word) == 1
                other += len(word) > 1
    if not (utf8 or cyrillic or latin or single or other):
        return "cp1252"  # nothing but signs that are the same in both
    most = max(cyrillic, latin)
    rest = utf8 + cyrillic + latin + other - most
    if most > rest * _DOUBTFUL:
        return "cp1251" if most == cyrillic else "cp1252"
    raise UsageError(
        f"{name}: byte {bad} is not UTF-8, and the encoding is uncertain: set --encoding to that of the file, such as "
        "cp1252 (Western European), cp1251 (Cyrillic) or cp1250 (Central European)"
    )


def _is_utf8(word: bytes) -> bool:
    try:
        word.decode()
    except UnicodeDecodeError:
        return False
    return True
