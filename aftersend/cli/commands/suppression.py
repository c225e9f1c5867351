"""`aftersend suppression`."""

from __future__ import annotations

import csv
import sys
from collections import Counter
from collections.abc import Iterable
from typing import Annotated, Final, Literal

from cyclopts import App, Parameter

from aftersend.cli.address_file import AddressColumn, Encoding, Separator
from aftersend.cli.context import Json, command_settings, wait_for
from aftersend.cli.render.output import count, print_json, say
from aftersend.cli.render.progress import bar
from aftersend.printable import csv_cell
from aftersend.rules.contact.suppression import SuppressionResult
from aftersend.services.audience.file import open_audience
from aftersend.services.audience.layout import FileOptions
from aftersend.services.suppression import (
    COLUMNS,
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


File = Annotated[str, Parameter(help='CSV, or one address a line. "-" is standard input.', allow_leading_hyphen=True)]
MessageType = Annotated[
    Literal["", "campaign", "automation", "transactional"],
    Parameter(name="--type", help="Type of the message to send. Without it, an unsubscribe from any type counts."),
]
Suppressed = Annotated[
    bool, Parameter(negative="", show_default=False, help="Print only addresses that may not be mailed.")
]
AsJson = Annotated[Json, Parameter(help="One line of JSON for each address.")]


@app.command
def check(
    file: File = "-",
    /,
    *,
    message_type: MessageType = "",
    suppressed: Suppressed = False,
    address_column: AddressColumn = "",
    separator: Separator = "",
    encoding: Encoding = "",
    as_json: AsJson = False,
) -> None:
    """Print for each line whether its address may be mailed, and the reasons against it. CSV, in the input's order.

    Reasons, the most important first: complained, unsubscribed, unsubscribed_from_type, invalid, bounced, quarantined.
    AFTERSEND_UNSUBSCRIBE_SCOPE sets whether an unsubscribe suppresses all messages or those of its type. The contacts
    topic is read once, whatever the number of addresses; memory holds their contacts only.

    Separator, encoding and the column with the addresses are detected; if one of them is uncertain, nothing is printed
    but an error that names the option to set. Display names and comments beside an address are left out. What is not
    exactly one address is answered "no", reason invalid. Blank lines are skipped.

    For example:

        aftersend suppression check audience.csv > checked.csv
        aftersend suppression check crm.csv --address-column "Work e-mail" --separator ";" --encoding cp1252
        cut -d, -f3 crm.csv | aftersend suppression check - --type campaign --suppressed
        echo jane@example.com | aftersend suppression check --json | jq .may_be_mailed

    Exit codes: 0 done, 2 the file is unreadable or uncertain, 3 invalid settings, 4 Kafka does not answer.
    """
    settings = command_settings()
    with open_audience(file, FileOptions(address_column, separator, encoding)) as audience:
        queries = list(read_addresses(audience))
    results = wait_for(check_addresses(settings, queries, message_type, bar(quiet=False)))
    shown = ((query, result) for query, result in results if not (suppressed and result.may_be_mailed))
    if as_json:
        for query, result in shown:
            print_json(query_as_json(query, result))
    else:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(map(csv_cell, as_csv_row(query, result)) for query, result in shown)
    _print_summary(result for _, result in results)


def _print_summary(results: Iterable[SuppressionResult]) -> None:
    """Print the numbers to standard error; standard output is for the results."""
    counts = Counter(result.reason for result in results)
    refused = ", ".join(f"{count(number)} {reason}" for reason, number in counts.most_common() if reason)
    say(
        f"{count(counts.total())} addresses, {count(counts[''])} may be mailed{'; ' if refused else ''}{refused}",
        error=True,
    )
