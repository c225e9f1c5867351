"""Options of commands that read addresses from a file."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

AddressColumn = Annotated[
    str,
    Parameter(
        help="Heading or number (from 1) of the column with the addresses; by default detected by heading (email, "
        "correo, Adresse, адрес …) and content."
    ),
]
Separator = Annotated[
    str, Parameter(help="Separator of columns, \\t for a tab; by default detected: comma, semicolon, tab or bar.")
]
Encoding = Annotated[
    str,
    Parameter(help="Encoding of the file; by default detected: UTF-8, UTF-16, cp1252 or cp1251."),
]
