"""`aftersend audience`."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from cyclopts import App, Parameter

from aftersend.cli.context import Json, command_settings, wait_for
from aftersend.cli.render.output import console, count, print_json
from aftersend.cli.render.progress import progress
from aftersend.config.settings import Settings
from aftersend.errors import UsageError
from aftersend.services.audience.addresses import key_of
from aftersend.services.audience.load import AudienceLoader, InitialStatus, records
from aftersend.services.audience.table import AudienceColumns, find_columns, open_text, read
from aftersend.services.cluster import partitions_of
from aftersend.services.raw_records import write_raw_records
from aftersend.sources.base import SourceError
from aftersend.sources.own import sender
from aftersend.sources.parsing.metadata import label

app: Final = App(
    name="audience",
    help="""Say whom a delivery is meant for, before it is sent.

    A whole file at once. The sender's own system may do the same over the gateway, a recipient at a time
    (aftersend/sources/own/sender/README.md).
    """,
)


@app.command
def load(
    delivery: str,
    file: Path,
    /,
    *,
    state: Annotated[InitialStatus, Parameter(name="--as")] = "planned",
    address_column: str = "",
    test_column: str = "",
    test_address: tuple[str, ...] = (),
    message_type: Annotated[
        Literal["", "campaign", "automation", "transactional"], Parameter(name="--type", show_default=False)
    ] = "",
    separator: str = "",
    encoding: str = "",
    dry_run: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    as_json: Json = False,
) -> None:
    """Load a delivery's audience from a CSV file, or a file with one address a line.

    Every address becomes a recipient of the delivery. Further copies of an address become not sent, for being
    duplicates; what can't be an address becomes not sent, for being invalid. Lines without an address are only counted:
    there is nobody that a row could stand for. Ids are made of delivery and address, so the same file loaded again, or
    to the end after an interruption, counts nothing twice.

    For example:

        aftersend audience load spring-sale audience.csv --dry-run
        aftersend audience load spring-sale audience.csv --test-column is_test --test-address boss@brand.example
        aftersend audience load spring-sale crm.csv --address-column "Work e-mail" --separator ";" --encoding cp1252

    Args:
        delivery: The delivery's id.
        file: The file.
        state: planned: meant to be sent; ready: made and waiting to be sent.
        address_column: Heading of the column with the address; by default recipient, email or address, else the first.
        test_column: Heading of the column that marks test addresses (true, 1, yes, x).
        test_address: A test address, wherever it stands in the file; may be given several times.
        message_type: Of the delivery's messages.
        separator: Between columns; by default found out: comma, semicolon, tab or bar.
        encoding: Of the file; by default UTF-8, or UTF-16 with its mark.
        dry_run: Write nothing, only count.
        as_json: One JSON object.
    """
    settings = command_settings()
    columns = _columns(file, encoding, separator, address_column, test_column)
    audience = AudienceLoader(_id(delivery), state, {key_of(one) for one in test_address} - {""}, message_type)
    wait_for(_load(settings, file, encoding, columns, audience, dry_run=dry_run, shown=not as_json))
    counts = audience.counts
    if as_json:
        print_json({"delivery_id": delivery, "as": state, "dry_run": dry_run} | msgspec.to_builtins(counts))
        return
    example = f", as in line {', '.join(map(str, counts.empty_lines))}" if counts.empty else ""
    screen = console()
    screen.print(
        f"{count(counts.lines)} lines: {count(counts.recipients)} recipients {state}"
        f"{f' ({count(counts.tests)} of them test addresses)' if counts.tests else ''}, "
        f"{count(counts.duplicates)} duplicates, {count(counts.invalid)} invalid addresses, "
        f"{count(counts.empty)} without an address{example}"
    )
    screen.print(
        "nothing was written" if dry_run else f"{delivery}: written; counted as soon as a worker has folded it"
    )


def _columns(file: Path, encoding: str, separator: str, address: str, test: str) -> AudienceColumns:
    with open_text(file, encoding) as text:
        try:
            first = next(iter(text), "")
        except UnicodeDecodeError as error:
            raise UsageError(f"{file}: {error}; name the file's --encoding, such as cp1252") from error
    if len(separator) > 1 and separator != "\\t":
        raise UsageError(f"--separator is one character, not {separator!r}")
    return find_columns(first, separator="\t" if separator == "\\t" else separator, address=address, test=test)


def _id(delivery: str) -> str:
    try:
        named = label("the delivery's id", delivery)
    except SourceError as error:
        raise UsageError(str(error)) from error
    if not named:
        raise UsageError("the delivery's id is empty")
    return named


async def _load(
    settings: Settings,
    file: Path,
    encoding: str,
    columns: AudienceColumns,
    audience: AudienceLoader,
    *,
    dry_run: bool,
    shown: bool,
) -> None:
    with open_text(file, encoding) as text:
        events = audience.events(read(text, columns, str(file)))
        made = records(events, time.time())
        # Bytes of the file are what is known of its length; lines are what people count.
        expected = os.fstat(text.fileno()).st_size
        what = f"reading {file.name}" if dry_run else f"loading {file.name}"
        with progress(what, expected, shown=shown and sys.stderr.isatty(), unit="bytes") as move:
            if dry_run:
                for _ in made:
                    move(text.buffer.tell())
                return
            partitions = await partitions_of(settings, settings.topics.raw(sender.NAME))
            await write_raw_records(
                settings, made, {sender.NAME: partitions}, on_sent=lambda _: move(text.buffer.tell())
            )
