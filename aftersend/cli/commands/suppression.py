"""`aftersend suppression`."""

from __future__ import annotations

import csv
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Final, Literal

from cyclopts import App, Parameter

from aftersend.cli.context import Json, command_settings, wait_for
from aftersend.cli.render.output import count, print_json, say
from aftersend.cli.render.progress import bar
from aftersend.errors import UsageError
from aftersend.printable import csv_cell
from aftersend.rules.contact.suppression import SuppressionResult
from aftersend.services.suppression import (
    COLUMNS,
    AddressQuery,
    as_csv_row,
    check_addresses,
    read_addresses,
)
from aftersend.services.suppression import (
    as_json as query_as_json,
)

app: Final = App(
    name="suppression",
    help="""Check before a send which addresses may be mailed.

    The contacts topic holds complaints, unsubscribes, bounces, quarantines and invalid addresses.
    """,
)


@app.command
def check(
    file: Annotated[str, Parameter(allow_leading_hyphen=True)] = "-",
    /,
    *,
    message_type: Annotated[Literal["", "campaign", "automation", "transactional"], Parameter(name="--type")] = "",
    suppressed: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    as_json: Json = False,
) -> None:
    """Print for each address whether it may be mailed, and the reasons against it. CSV, in the order of the input.

    Reasons, the most important first: complained, unsubscribed, unsubscribed_from_type, invalid, bounced, quarantined.
    AFTERSEND_UNSUBSCRIBE_SCOPE sets whether an unsubscribe suppresses all messages or those of its type. The contacts
    topic is read once, whatever the number of addresses; memory holds their contacts only.

    For example:

        aftersend suppression check audience.csv > checked.csv
        cut -d, -f3 crm.csv | aftersend suppression check - --type campaign --suppressed
        echo jane@example.com | aftersend suppression check --json | jq .may_be_mailed

    Exit codes: 0 done, 2 the file is unreadable, 3 invalid settings, 4 Kafka does not answer.

    Args:
        file: One address a line, or CSV: the column with the heading recipient, email or address, else the first.
            "-" is standard input.
        message_type: Type of the message to send. Without it, an unsubscribe from any type counts.
        suppressed: Print only addresses that may not be mailed.
        as_json: One line of JSON for each address.
    """
    settings = command_settings()
    results = wait_for(check_addresses(settings, _read(file), message_type, bar(quiet=False)))
    shown = ((query, result) for query, result in results if not (suppressed and result.may_be_mailed))
    if as_json:
        for query, result in shown:
            print_json(query_as_json(query, result))
    else:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(map(csv_cell, as_csv_row(query, result)) for query, result in shown)
    _print_summary(result for _, result in results)


def _read(file: str) -> list[AddressQuery]:
    if file == "-":
        return list(read_addresses(sys.stdin, "standard input"))
    try:
        with Path(file).open(encoding="utf-8", newline="") as lines:
            return list(read_addresses(lines, file))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} can't be read: {error}") from error


def _print_summary(results: Iterable[SuppressionResult]) -> None:
    """Print the numbers to standard error; standard output is for the results."""
    counts = Counter(result.reason for result in results)
    refused = ", ".join(f"{count(number)} {reason}" for reason, number in counts.most_common() if reason)
    say(
        f"{count(counts.total())} addresses, {count(counts[''])} may be mailed{'; ' if refused else ''}{refused}",
        error=True,
    )
