"""`aftersend suppression`."""

from __future__ import annotations

import csv
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from cyclopts import App, Parameter

from aftersend.cli.context import Json, command_settings, wait_for
from aftersend.cli.render.output import count, print_json
from aftersend.cli.render.progress import bar
from aftersend.config.settings import Settings
from aftersend.errors import UsageError
from aftersend.rules.contact.suppression import INVALID, NOT_SENT_REASON_OF, SuppressionReason, SuppressionResult
from aftersend.rules.contact.suppression import check as check_contact
from aftersend.schemas.contact import Contact
from aftersend.schemas.times import iso
from aftersend.services.contacts import read_wanted
from aftersend.services.suppression import AddressQuery, read

app: Final = App(
    name="suppression",
    help="""Ask, before a send, which addresses may be mailed.

    From the contacts topic: who complained, unsubscribed, bounced, is in quarantine or not valid.
    """,
)

_COLUMNS: Final = ("address", "recipient", "may_be_mailed", "reason", "since", "delivery_id", "all_reasons")
_NO_ADDRESS: Final = SuppressionResult((SuppressionReason(INVALID),))


@app.command
def check(
    file: Annotated[str, Parameter(allow_leading_hyphen=True)] = "-",
    /,
    *,
    message_type: Annotated[Literal["", "campaign", "automation", "transactional"], Parameter(name="--type")] = "",
    suppressed: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    as_json: Json = False,
) -> None:
    """Say for each address whether it may be mailed, and if not why. CSV, in the order of the input.

    Reasons, the weightiest first: complained, unsubscribed, unsubscribed_from_type, invalid, bounced, quarantined.
    Whether an unsubscribe keeps everything from being mailed or only messages of its type, AFTERSEND_UNSUBSCRIBE_SCOPE
    says. The topic is read once, whatever the number of addresses; only what concerns them is kept.

    For example:

        aftersend suppression check audience.csv > checked.csv
        cut -d, -f3 crm.csv | aftersend suppression check - --type campaign --suppressed
        echo jane@example.com | aftersend suppression check --json | jq .may_be_mailed

    Args:
        file: One address a line, or CSV: the column with the heading recipient, email or address, else the first.
            "-" is standard input.
        message_type: Of the message that is to be sent. Without it, an unsubscription from any type counts.
        suppressed: Only those that may not be mailed.
        as_json: A line of JSON for each address.
    """
    settings = command_settings()
    asked = _asked(file)
    contacts = wait_for(_contacts(settings, asked))
    counts: Counter[str] = Counter()
    answers = _answers(asked, contacts, message_type, settings.unsubscribe_scope, counts)
    shown = ((one, verdict) for one, verdict in answers if not (suppressed and verdict.may_be_mailed))
    if as_json:
        for one, verdict in shown:
            print_json(_as_json(one, verdict))
    else:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(_COLUMNS)
        writer.writerows(_as_row(one, verdict) for one, verdict in shown)
    _summary(counts)


def _asked(file: str) -> list[AddressQuery]:
    if file == "-":
        return list(read(sys.stdin, "standard input"))
    try:
        with Path(file).open(encoding="utf-8", newline="") as lines:
            return list(read(lines, file))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} can't be read: {error}") from error


async def _contacts(settings: Settings, asked: list[AddressQuery]) -> dict[str, Contact]:
    return await read_wanted(settings, {one.recipient for one in asked if one.recipient}, bar(quiet=False))


def _answers(
    asked: list[AddressQuery], contacts: dict[str, Contact], message_type: str, scope: str, counts: Counter[str]
) -> Iterator[tuple[AddressQuery, SuppressionResult]]:
    for one in asked:
        contact = contacts.get(one.recipient)
        verdict = check_contact(contact, message_type, scope) if one.recipient else _NO_ADDRESS
        counts[verdict.reason] += 1
        yield one, verdict


def _as_row(one: AddressQuery, verdict: SuppressionResult) -> tuple[str, ...]:
    yes_no = "yes" if verdict.may_be_mailed else "no"
    if not verdict.objections:
        return one.spelled, one.recipient, yes_no, "", "", "", ""
    first = verdict.objections[0]
    reasons = " ".join(objection.reason for objection in verdict.objections)
    return one.spelled, one.recipient, yes_no, first.reason, iso(first.since) or "", first.delivery_id, reasons


def _as_json(one: AddressQuery, verdict: SuppressionResult) -> dict[str, Any]:
    result: dict[str, Any] = {
        "address": one.spelled,
        "recipient": one.recipient,
        "may_be_mailed": verdict.may_be_mailed,
    }
    if verdict.objections:
        result |= {
            "reason": verdict.reason,
            "not_sent": NOT_SENT_REASON_OF[verdict.reason],
            "objections": [
                {"reason": o.reason, "since": iso(o.since), "delivery_id": o.delivery_id} for o in verdict.objections
            ],
        }
    return result


def _summary(counts: Counter[str]) -> None:
    """Say on standard error how many may be mailed; standard output is for what comes after."""
    refused = ", ".join(f"{count(number)} {reason}" for reason, number in counts.most_common() if reason)
    total = counts.total()
    print(
        f"{count(total)} addresses, {count(counts[''])} may be mailed{'; ' if refused else ''}{refused}",
        file=sys.stderr,
    )
