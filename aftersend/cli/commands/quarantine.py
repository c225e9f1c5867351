"""`aftersend quarantine`."""

from __future__ import annotations

import sys
import time
from typing import Annotated, Final, Literal

from cyclopts import App, Parameter
from cyclopts.validators import Number

from aftersend.cli.confirmation import confirm, require_confirmable
from aftersend.cli.context import Json, command_settings, wait_for
from aftersend.cli.render.output import console, count, print_json
from aftersend.cli.render.progress import bar, progress
from aftersend.cli.render.quarantine import address_list, error_counts
from aftersend.cli.times import when_or_none
from aftersend.config.settings import Settings
from aftersend.errors import EXIT_FAILED, EXIT_OK
from aftersend.services.quarantine.addresses import QuarantineEntry, QuarantineFilter, find_entries
from aftersend.services.quarantine.addresses import as_json as entry_as_json
from aftersend.services.quarantine.release import ReleaseRequest, release_request, write_releases
from aftersend.services.quarantine.release import as_json as release_as_json

app: Final = App(
    name="quarantine",
    help="""List addresses with errors, and release them from quarantine.

    A hard bounce quarantines an address at once, soft bounces with the fifth that counts; a quarantine has no end.
    After an outage of a mailbox provider, whole domains may be quarantined without reason: `release` selects addresses
    by the text of the error and the time.
    """,
)

Natural = Annotated[int, Parameter(validator=Number(gte=0))]
Flag = Annotated[bool, Parameter(negative="", show_default=False)]
Option = Annotated[str | None, Parameter(show_default=False)]
#: Addresses that are shown before a release.
_SAMPLE: Final = 5
#: Pairs of domain and error that are shown.
_PAIRS: Final = 20


Reason = Annotated[
    str, Parameter(help="Only addresses with this text in the error's class, codes or diagnostic, in any case.")
]
Since = Annotated[
    str | None, Parameter(help="Only addresses with this status since then: 90s, 15min, 2h, 3d, 1w ago, or ISO 8601.")
]
Until = Annotated[str | None, Parameter(help="Only addresses with this status since before then.")]
State = Annotated[
    Literal["quarantined", "erroneous", "denylisted"],
    Parameter(
        help="quarantined; erroneous: with errors, but not enough for a quarantine; denylisted: after a complaint."
    ),
]
Limit = Annotated[Natural, Parameter(help="Number of addresses to list; all are counted.")]
AsJson = Annotated[Json, Parameter(help="One line of JSON for each address, without a limit.")]


@app.command(name="list")
def list_(
    *,
    reason: Reason = "",
    since: Since = None,
    until: Until = None,
    state: State = "quarantined",
    limit: Limit = 20,
    as_json: AsJson = False,
) -> None:
    """List addresses, the latest first, and count them by domain and error.

    For example:

        aftersend quarantine list
        aftersend quarantine list --reason "user unknown" --since 2d
        aftersend quarantine list --state erroneous --json | jq -r .recipient

    Exit codes: 0 done, 3 invalid settings, 4 Kafka does not answer.
    """
    settings, now = command_settings(), time.time()
    selection = QuarantineFilter(
        state=state, reason=reason, since=when_or_none(since, now), until=when_or_none(until, now)
    )
    entries = wait_for(find_entries(settings, selection, now, bar(quiet=as_json)))
    if as_json:
        for entry in entries:
            print_json(entry_as_json(entry))
        return
    screen = console()
    if not entries:
        screen.print(f"no {'matching ' if reason or since or until else ''}address is {state}")
        return
    screen.print(address_list(entries[:limit]))
    screen.print(f"\n{count(len(entries))} addresses are {state}")
    _print_counts(entries)


ReasonRelease = Annotated[
    str,
    Parameter(help='Only addresses with this text in the error\'s class, codes or diagnostic, in any case; "": all.'),
]
SinceRelease = Annotated[
    str | None, Parameter(help="Only addresses quarantined since then: 90s, 15min, 2h, 3d, 1w ago, or ISO 8601.")
]
UntilRelease = Annotated[str | None, Parameter(help="Only addresses quarantined before then.")]
Why = Annotated[Option, Parameter(help="Reason to keep; by default the options that selected the addresses.")]
By = Annotated[Option, Parameter(help="Who releases them; by default this machine's user.")]
DryRun = Annotated[Flag, Parameter(help="Only show what would be released.")]
Yes = Annotated[Flag, Parameter(help="Release without confirmation.")]
AsJsonRelease = Annotated[Json, Parameter(help="One JSON object; requires --yes or --dry-run.")]


@app.command
def release(
    *,
    reason: ReasonRelease,
    since: SinceRelease = None,
    until: UntilRelease = None,
    why: Why = None,
    by: By = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: AsJsonRelease = False,
) -> int:
    """Release addresses from quarantine, selected by the text of their error.

    Each release is a record on the raw topic "operations": it is folded exactly once, a replay repeats it, and the
    topic and the contact keep who released the address, when and why. Other effects of the bounces (do not email,
    invalid address) are undone with it, complaints and unsubscribes are not. A new bounce quarantines it again.

    For example:

        aftersend quarantine release --reason "5.7.1 mailbox provider down" --since 2d --dry-run
        aftersend quarantine release --reason 4.3.0 --since 1d --why "outage of example.net" --by jane

    Exit codes: 0 done, 1 not confirmed, 3 invalid settings, 4 not all releases are acknowledged: repeat the command.
    """
    require_confirmable(dry_run=dry_run, yes=yes, as_json=as_json)
    settings, now = command_settings(), time.time()
    request = release_request(now, by, why, _describe(reason, since, until))
    selection = QuarantineFilter(reason=reason, since=when_or_none(since, now), until=when_or_none(until, now))
    entries = wait_for(find_entries(settings, selection, now, bar(quiet=as_json)))
    if not as_json:
        _announce(entries, dry_run=dry_run)
    released = 0
    if entries and not dry_run:
        if not yes and not confirm(f"Release {count(len(entries))} addresses?"):
            console().print("nothing was released")
            return EXIT_FAILED
        released = _write(settings, entries, request, shown=not as_json)
    _print_result(entries, request, released, dry_run=dry_run, as_json=as_json)
    return EXIT_OK


def _print_result(
    entries: list[QuarantineEntry], request: ReleaseRequest, released: int, *, dry_run: bool, as_json: bool
) -> None:
    if as_json:
        print_json(release_as_json(entries, request, released, dry_run=dry_run))
    elif released:
        console().print(f"{count(released)} releases written; they apply as soon as a worker has folded them")


def _write(settings: Settings, entries: list[QuarantineEntry], request: ReleaseRequest, *, shown: bool) -> int:
    with progress("releasing", len(entries), shown=shown and sys.stderr.isatty()) as on_acknowledged:
        return wait_for(write_releases(settings, entries, request, on_acknowledged))


def _describe(reason: str, since: str | None, until: str | None) -> str:
    """Return the options that select addresses as text."""
    parts = (
        f"error with {reason!r}" if reason else "",
        f"since {since}" if since else "",
        f"until {until}" if until else "",
    )
    return ", ".join(part for part in parts if part) or "all"


def _announce(entries: list[QuarantineEntry], *, dry_run: bool) -> None:
    screen = console()
    if not entries:
        screen.print("no matching address is quarantined")
        return
    screen.print(f"{count(len(entries))} addresses {'would be' if dry_run else 'to be'} released, for example:")
    screen.print(address_list(entries[:_SAMPLE]))
    _print_counts(entries)


def _print_counts(entries: list[QuarantineEntry]) -> None:
    counts, others = error_counts(entries, _PAIRS)
    console().print(counts)
    if others:
        console().print(f"and {count(others)} more pairs of domain and error")
