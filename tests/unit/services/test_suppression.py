"""Addresses of a file, and their answers."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Final, Literal

from hypothesis import given
from hypothesis import strategies as st

from aftersend.errors import UsageError
from aftersend.rules.contact.suppression import SuppressionResult
from aftersend.services.audience.file import AudienceFile
from aftersend.services.audience.layout import FileOptions
from aftersend.services.suppression import AddressQuery, as_csv_row, read_addresses


def queries(content: bytes | str) -> list[AddressQuery]:
    raw = content if isinstance(content, bytes) else content.encode()
    return list(read_addresses(AudienceFile(io.BytesIO(raw), "file", FileOptions())))


def test_one_address_a_line() -> None:
    assert ["jane@example.org", "joe@example.org", ""] == [
        one.recipient for one in queries("Jane@Example.org\n\n  joe@example.org \nnobody\n")
    ]


def test_the_spelling_is_kept_for_the_answer() -> None:
    (one,) = queries('id;email\n1; "Jane" <Jane@Example.org>\n')
    assert AddressQuery(' "Jane" <Jane@Example.org>', "jane@example.org") == one
    assert (one.spelled, one.recipient, "yes") == as_csv_row(one, SuppressionResult(()))[:3]


def test_addresses_that_come_twice_are_answered_twice() -> None:
    assert 2 == len(queries("jane@example.org\njane@example.org\n"))


#: Addresses that must not be mailed, and text that may stand beside them.
SUPPRESSED = ("spam@example.org", "o'hara+x@mail.example.co.uk", "ana@bücher.example", '"a b"@example.org')
KEYS = {"spam@example.org", "o'hara+x@mail.example.co.uk", "ana@xn--bcher-kva.example", '"a b"@example.org'}
NAMES = ("Ana", "Doe, Jane", "Roe; Jo", "Müller", "José", "Иванов Пётр", 'The "Boss"', "a|b", "x\ty", "", "1,5", "yes")
HEADINGS = ("email", "E-Mail", "correo", "Correo electrónico", "Adresse", "адрес", "Эл. почта", "Recipient", "courriel")
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252", "cp1251", "cp1250", "koi8-r")


_QUOTING: Final[list[Literal[0, 1] | None]] = [csv.QUOTE_MINIMAL, csv.QUOTE_ALL, None]


@st.composite
def spellings(draw: st.DrawFn) -> str:
    """Return an address as somebody may write it."""
    address = draw(st.sampled_from(SUPPRESSED))
    name = draw(st.sampled_from(NAMES))
    quoted = name.replace('"', '\\"')
    form = draw(
        st.sampled_from(
            [
                *("{address}", "<{address}>", '"{quoted}" <{address}>', "{name} <{address}>", "{address} ({name})"),
                *(
                    " {address} ",
                    "{address},",
                    "{address};",
                    "'{address}'",
                    '"{address}"',
                    "mailto:{address}",
                    "{upper}",
                ),
                *("\ufeff{address}", "{address}\u200b", "\u00a0{address}", "{address}.", "“{address}”", "{a}\u00ad{b}"),
                *("{address}, {address}", "{address} <{address}>", "Team: {address};", "{address}\n", "- {address}"),
            ]
        )
    )
    return form.format(address=address, upper=address.upper(), name=name, quoted=quoted, a=address[:2], b=address[2:])


@st.composite
def files(draw: st.DrawFn) -> bytes:
    """Return a file with suppressed addresses only."""
    columns = draw(st.integers(1, 3))
    place = draw(st.integers(0, columns - 1))
    rows = [
        [value if index == place else draw(st.sampled_from(NAMES)) for index in range(columns)]
        for value in draw(st.lists(spellings(), max_size=6))
    ]
    if draw(st.booleans()):
        heading = draw(st.sampled_from(HEADINGS))
        rows.insert(0, [heading if index == place else f"column {index}" for index in range(columns)])
    text = _written(draw, rows, draw(st.sampled_from(",;\t|")), draw(st.sampled_from(["\n", "\r\n", "\r"])))
    return text.encode(draw(st.sampled_from(ENCODINGS)), "replace")


def _written(draw: st.DrawFn, rows: Sequence[Sequence[str]], separator: str, end: str) -> str:
    """Return rows as CSV, or without any quoting, as people do it."""
    quoting = draw(st.sampled_from(_QUOTING))
    if quoting is None:
        return "".join(f"{separator.join(row)}{end}" for row in rows)
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=separator, lineterminator=end, quoting=quoting).writerows(rows)
    return text.getvalue()


@given(files())
def test_a_suppressed_address_is_never_read_as_another_one(content: bytes) -> None:
    """Each line's address is a suppressed one, or the line is answered "no: invalid", or nothing is answered."""
    try:
        answers = queries(content)
    except UsageError:
        return
    assert {one.recipient for one in answers} <= {*KEYS, ""}


@given(
    st.lists(st.sampled_from(SUPPRESSED[:3]), min_size=1, max_size=5),
    st.sampled_from(NAMES[:5]),
    st.sampled_from(HEADINGS),
    st.sampled_from(",;\t|"),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"]),
    st.booleans(),
)
def test_well_formed_files_are_read_without_options(
    addresses: list[str], name: str, heading: str, separator: str, encoding: str, all_quoted: bool
) -> None:
    text = io.StringIO(newline="")
    style: Literal[0, 1] = csv.QUOTE_ALL if all_quoted else csv.QUOTE_MINIMAL
    writer = csv.writer(text, delimiter=separator, quoting=style)
    writer.writerow(["id", heading, "note"])
    writer.writerows([number, f'"{name}" <{one}>', name] for number, one in enumerate(addresses))
    expected = [one.replace("bücher", "xn--bcher-kva") for one in addresses]
    assert expected == [one.recipient for one in queries(text.getvalue().encode(encoding))]
