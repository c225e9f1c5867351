"""`aftersend audience`."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec
from cyclopts import App, Parameter

from aftersend.cli.address_file import AddressColumn, Encoding, Separator
from aftersend.cli.context import Json, command_settings, wait_for
from aftersend.cli.render.output import console, count, print_json
from aftersend.cli.render.progress import bar
from aftersend.errors import UsageError
from aftersend.services.audience.addresses import read_address
from aftersend.services.audience.file import open_audience
from aftersend.services.audience.layout import FileOptions
from aftersend.services.audience.load import (
    AudienceCounts,
    AudienceLoader,
    InitialStatus,
    delivery_id_of,
    load_file,
)

app: Final = App(
    name="audience",
    help="""Load the recipients of a delivery before it is sent.

    From a file. The sender's own system can also send one recipient at a time to the gateway.
    """,
)

Delivery = Annotated[str, Parameter(help="Delivery id.")]
File = Annotated[
    str, Parameter(help='CSV file, or one address a line; "-" is standard input.', allow_leading_hyphen=True)
]
State = Annotated[
    InitialStatus, Parameter(name="--as", help="planned: to be sent; ready: built, and waiting to be sent.")
]
TestColumn = Annotated[
    str, Parameter(help="Heading or number of the column that marks test addresses (true, 1, yes, x).")
]
TestAddress = Annotated[
    tuple[str, ...], Parameter(help="A test address, wherever it is in the file; may be given several times.")
]
MessageType = Annotated[
    Literal["", "campaign", "automation", "transactional"],
    Parameter(name="--type", show_default=False, help="Type of the delivery's messages."),
]
DryRun = Annotated[bool, Parameter(negative="", show_default=False, help="Only count, write nothing.")]
AsJson = Annotated[Json, Parameter(help="One JSON object.")]


@app.command
def load(
    delivery: Delivery,
    file: File,
    /,
    *,
    state: State = "planned",
    address_column: AddressColumn = "",
    test_column: TestColumn = "",
    test_address: TestAddress = (),
    message_type: MessageType = "",
    separator: Separator = "",
    encoding: Encoding = "",
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Load a delivery's audience from a CSV file, or from a file with one address a line.

    Every address becomes a recipient of the delivery. Further copies of an address become "not sent: duplicate
    address", values that are not exactly one address "not sent: invalid address". Lines without an address are only
    counted, blank lines are skipped. Ids are derived from delivery and address, so loading a file again, or after an
    interruption, counts nothing twice. Separator, encoding and columns are detected; if one of them is uncertain,
    nothing is written.

    For example:

        aftersend audience load spring-sale audience.csv --test-column is_test --test-address me@brand.example
        aftersend audience load spring-sale crm.csv --address-column "Work e-mail" --separator ";" --encoding cp1252

    Exit codes: 0 done, 2 the file is unreadable or uncertain, 3 invalid settings, 4 not all records are acknowledged:
    repeat the command.
    """
    settings = command_settings()
    options = FileOptions(address_column, separator, encoding, test_column)
    loader = AudienceLoader(delivery_id_of(delivery), state, set(map(_test_address, test_address)), message_type)
    show = bar(quiet=as_json, unit="bytes")
    with open_audience(file, options) as audience:
        wait_for(load_file(settings, audience, loader, dry_run=dry_run, show=show))
    if as_json:
        print_json({"delivery_id": delivery, "as": state, "dry_run": dry_run} | msgspec.to_builtins(loader.counts))
    else:
        outcome = (
            "nothing was written" if dry_run else f"{delivery}: written; counted as soon as a worker has folded it"
        )
        console().print(f"{_summary(loader.counts, state)}\n{outcome}")


def _test_address(text: str) -> str:
    address = read_address(text)
    if not address:
        raise UsageError(f"--test-address: {text!r} is not an address")
    return address


def _summary(counts: AudienceCounts, state: InitialStatus) -> str:
    example = f", such as line {', '.join(map(str, counts.empty_lines))}" if counts.empty else ""
    tests = f" ({count(counts.tests)} of them test addresses)" if counts.tests else ""
    return (
        f"{count(counts.lines)} lines: {count(counts.recipients)} recipients {state}{tests}, "
        f"{count(counts.duplicates)} duplicates, {count(counts.invalid)} invalid addresses, "
        f"{count(counts.empty)} without an address{example}"
    )
