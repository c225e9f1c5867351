"""`aftersend quarantine`."""

from __future__ import annotations

import getpass
import socket
import sys
import time
import uuid
from typing import Annotated, Final, Literal

from cyclopts import App, Parameter
from cyclopts.validators import Number

from aftersend.cli.context import Json, command_settings, wait_for
from aftersend.cli.render.output import console, count, local, print_json, table
from aftersend.cli.render.progress import bar, progress
from aftersend.cli.times import when
from aftersend.config.settings import Settings
from aftersend.errors import EXIT_FAILED, EXIT_OK, UsageError
from aftersend.services.quarantine.addresses import QuarantineEntry, QuarantineFilter, by_error, find, words
from aftersend.services.quarantine.addresses import as_json as held_as_json
from aftersend.services.quarantine.release import ReleaseRequest, write
from aftersend.sources.own.operations.payload import MAX_WORDS

app: Final = App(
    name="quarantine",
    help="""List the addresses that errors are held against, and release them.

    A hard bounce puts an address in quarantine at once, soft ones with the fifth that counts; it does not leave by
    itself. After an outage of a mailbox provider, whole domains may be there for nothing: `release` takes them out by
    the text of the error and the time (docs/guide/operate.md).
    """,
)

Natural = Annotated[int, Parameter(validator=Number(gte=0))]
Flag = Annotated[bool, Parameter(negative="", show_default=False)]
_SAMPLE: Final = 5


@app.command(name="list")
def list_(
    *,
    reason: str = "",
    since: str | None = None,
    until: str | None = None,
    state: Literal["quarantined", "erroneous", "denylisted"] = "quarantined",
    limit: Natural = 20,
    as_json: Json = False,
) -> None:
    """List addresses, the latest first, and count them by domain and error.

    For example:

        aftersend quarantine list
        aftersend quarantine list --reason "user unknown" --since 2d
        aftersend quarantine list --state erroneous --json | jq -r .recipient

    Args:
        reason: Only with this in the error's class, codes or text; upper or lower case.
        since: Only those since then: 90s, 15min, 2h, 3d, 1w ago, or ISO 8601.
        until: Only those since before then.
        state: quarantined; erroneous: errors count, but not enough of them; denylisted: complained.
        limit: How many to list; all are counted.
        as_json: A line for each address, all of them.
    """
    settings, now = command_settings(), time.time()
    filters = _filters(reason, since, until, now, state)
    found = wait_for(find(settings, filters, now, bar(quiet=as_json)))
    if as_json:
        for held in found:
            print_json(held_as_json(held))
        return
    screen = console()
    if not found:
        screen.print(f"no address is {state}" + (" that this holds for" if reason or since or until else ""))
        return
    _list(found[:limit])
    screen.print(f"\n{count(len(found))} addresses are {state}")
    _count(found)


@app.command
def release(
    *,
    reason: str,
    since: str | None = None,
    until: str | None = None,
    why: Annotated[str | None, Parameter(show_default=False)] = None,
    by: Annotated[str | None, Parameter(show_default=False)] = None,
    dry_run: Flag = False,
    yes: Flag = False,
    as_json: Json = False,
) -> int:
    """Take addresses out of quarantine by the text of the error that put them there.

    Each release is a record on the raw topic "operations": it is folded exactly once like everything else, a replay
    does the same again, and who did it when and why stays on the contact and on the topic. What the bounces had done
    besides (do not email, not valid) is taken back with it; a complaint or an unsubscription is not. An address that
    bounces again is quarantined again.

    For example:

        aftersend quarantine release --reason "5.7.1 mailbox provider down" --since 2d --dry-run
        aftersend quarantine release --reason "user unknown" --since 2026-03-11T08:00 --until 2026-03-11T14:00
        aftersend quarantine release --reason 4.3.0 --since 1d --why "outage of example.net" --by jane

    Exit codes: 0 done, 1 not confirmed, 4 Kafka has not taken all of them.

    Args:
        reason: Only with this in the error's class, codes or text; upper or lower case. "" for any.
        since: Only those quarantined since then: 90s, 15min, 2h, 3d, 1w ago, or ISO 8601.
        until: Only those quarantined before then.
        why: What is kept as the reason of the release; by default the options that chose the addresses.
        by: Who does it; by default this machine's user.
        dry_run: Only say what would be done.
        yes: Don't ask.
        as_json: One JSON object; does not ask, so it needs --yes or --dry-run.
    """
    if not dry_run and not yes and (as_json or not sys.stdin.isatty()):
        raise UsageError("nobody is there to be asked: say --yes, or --dry-run to see what would be done")
    settings, now = command_settings(), time.time()
    decision = ReleaseRequest(
        at=now,
        by=_told("--by", by if by is not None else f"{getpass.getuser()}@{socket.gethostname()}"),
        why=_told("--why", why if why is not None else _choice(reason, since, until)),
        batch=uuid.uuid4().hex,
    )
    filters = _filters(reason, since, until, now)
    return wait_for(_release(settings, filters, decision, dry_run=dry_run, yes=yes, as_json=as_json))


async def _release(
    settings: Settings, filters: QuarantineFilter, decision: ReleaseRequest, *, dry_run: bool, yes: bool, as_json: bool
) -> int:
    found = await find(settings, filters, decision.at, bar(quiet=as_json))
    if not as_json:
        _announce(found, dry_run=dry_run)
    written = 0
    if found and not dry_run:
        if not yes and not _agreed(len(found)):
            console().print("nothing was released")
            return EXIT_FAILED
        with progress("releasing", len(found), shown=sys.stderr.isatty() and not as_json) as on_written:
            written = await write(settings, found, decision, on_written)
    if as_json:
        counts = [{"domain": d, "error": error, "addresses": n} for (d, error), n in by_error(found).most_common()]
        told = {"addresses": len(found), "released": written, "dry_run": dry_run, "counts": counts}
        print_json(told | {"batch": decision.batch, "by": decision.by, "why": decision.why})
    elif written:
        console().print(
            f"{count(written)} releases written; the addresses are free as soon as a worker has folded them"
        )
    return EXIT_OK


def _filters(
    reason: str, since: str | None, until: str | None, now: float, state: str = "quarantined"
) -> QuarantineFilter:
    return QuarantineFilter(
        state=state,
        reason=reason,
        since=None if since is None else when(since, now),
        until=None if until is None else when(until, now),
    )


def _choice(reason: str, since: str | None, until: str | None) -> str:
    parts = (
        f"error with {reason!r}" if reason else "",
        f"since {since}" if since else "",
        f"until {until}" if until else "",
    )
    return ", ".join(part for part in parts if part) or "all"


def _told(option: str, words: str) -> str:
    """Return what an operator says of a release if it can be kept."""
    if not 0 < len(words) <= MAX_WORDS:
        raise UsageError(f"{option} takes 1 to {MAX_WORDS} characters")
    return words


def _announce(found: list[QuarantineEntry], *, dry_run: bool) -> None:
    screen = console()
    if not found:
        screen.print("no address in quarantine that this holds for")
        return
    screen.print(f"{count(len(found))} addresses {'would be' if dry_run else 'to be'} released, for example:")
    _list(found[:_SAMPLE])
    _count(found)


def _list(found: list[QuarantineEntry]) -> None:
    shown = table("", "since", "address", "errors", "error", "delivery", right=("errors",))
    for held in found:
        contact = held.contact
        delivery = contact.error.delivery_id if contact.error is not None else contact.cause_delivery_id
        shown.add_row(
            local(held.standing.since),
            contact.address or contact.recipient,
            str(contact.errors or ""),
            words(contact) or held.standing.why,
            delivery,
        )
    console().print(shown)


def _count(found: list[QuarantineEntry], limit: int = 20) -> None:
    counts = by_error(found)
    shown = table("", "addresses", "domain", "error", right=("addresses",))
    for (domain, error), number in counts.most_common(limit):
        shown.add_row(count(number), domain, error)
    console().print(shown)
    if len(counts) > limit:
        console().print(f"and {count(len(counts) - limit)} more pairs of domain and error")


def _agreed(total: int) -> bool:
    print(f"Release {count(total)} addresses? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().casefold() in {"y", "yes"}
