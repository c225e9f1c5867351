"""`aftersend dead-letters`."""

from __future__ import annotations

import sys
import time
from collections import Counter
from typing import Annotated, Final

from cyclopts import App, Parameter
from cyclopts.validators import Number

from aftersend.cli.confirmation import confirm, require_confirmable
from aftersend.cli.context import Json, command_settings, wait_for
from aftersend.cli.render.dead_letters import letter_counts, letter_details, letter_list
from aftersend.cli.render.output import console, count, print_json, say
from aftersend.cli.render.progress import progress
from aftersend.cli.times import when_or_none
from aftersend.config.settings import Settings
from aftersend.errors import EXIT_FAILED, EXIT_OK, AftersendError, UsageError
from aftersend.printable import printable
from aftersend.services.dead_letters.overview import read_overview
from aftersend.services.dead_letters.reader import DeadLetterReader, find_dead_letter
from aftersend.services.dead_letters.records import DeadLetterFilter, parse_position, topics_of
from aftersend.services.dead_letters.records import as_json as letter_as_json
from aftersend.services.dead_letters.replay import ReplayOutcome, count_letters, replay

app: Final = App(
    name="dead-letters",
    help="""List and show unreadable records, and replay them.

    A raw record that its source's parser can't read is written to the dead-letter topic, byte for byte, with the error
    in its headers, and the worker continues. Find the cause (`list`, `show`), fix it (the parser, a setting, the
    sender), and write the records back to their topics (`replay`).
    """,
)

Natural = Annotated[int, Parameter(validator=Number(gte=0))]
Flag = Annotated[bool, Parameter(negative="", show_default=False)]


#: Positions listed at most.
_MOST_LISTED = 20

Source = Annotated[
    str | None,
    Parameter(name="--source", help='Only records from this source, from "events", or from a topic by its name.'),
]
Error = Annotated[str, Parameter(help="Only errors of this class, or with this text in their message, in any case.")]
Since = Annotated[
    str | None, Parameter(help="Only records that arrived since then: 90s, 15min, 2h, 3d, 1w ago, or ISO 8601.")
]
Until = Annotated[str | None, Parameter(help="Only records that arrived before then.")]
Limit = Annotated[Natural, Parameter(help="Number of dead letters to list; all are counted.")]
AsJson = Annotated[
    Json, Parameter(help="One line of JSON for each listed dead letter, and a last line with the counts.")
]


@app.command(name="list")
def list_(
    *,
    source: Source = None,
    error: Error = "",
    since: Since = None,
    until: Until = None,
    limit: Limit = 20,
    as_json: AsJson = False,
) -> None:
    """List dead letters, the latest first, and count them by topic and class of the error.

    For example:

        aftersend dead-letters list
        aftersend dead-letters list --source tracking --since 2h
        aftersend dead-letters list --error "not valid JSON" --limit 100
        aftersend dead-letters list --json | jq -r .place

    Exit codes: 0 done, 3 invalid settings, 4 Kafka does not answer.
    """
    settings = command_settings()
    selection = _selection(settings, source, error, since, until)
    found = wait_for(read_overview(settings, selection, limit))
    if as_json:
        for letter in found.latest():
            print_json(letter_as_json(letter, content=False))
        print_json({"letters": found.total, "of_replays": found.replayed, "counts": _counts(found.counts)})
        return
    screen = console()
    if not found.total:
        screen.print(f"no {'matching ' if source or error or since or until else ''}dead letters")
        return
    screen.print(letter_list(found.latest()))
    screen.print(f"\n{count(found.total)} dead letters")
    screen.print(letter_counts(found.counts))
    if found.total > limit:
        screen.print(f"the latest {limit} are listed: --limit {found.total} for all")
    screen.print("to show one: aftersend dead-letters show PARTITION:OFFSET")


@app.command
def show(place: str, /, *, raw: Flag = False, as_json: Json = False) -> None:
    """Show one dead letter: its error, its headers and its bytes.

    JSON is indented, other text is unchanged, anything else is a hex dump.

    For example:

        aftersend dead-letters show 3:17
        aftersend dead-letters show feedback.raw.tracking-1-4711    # by the position of the unreadable record
        aftersend dead-letters show 3:17 --raw | aftersend parse tracking

    Exit codes: 0 done, 1 no such dead letter, 3 invalid settings, 4 Kafka does not answer.

    Args:
        place: PARTITION:OFFSET in the dead-letter topic, as `list` prints it; or TOPIC-PARTITION-OFFSET of the
            dead letter or of the unreadable record, as in logs (this reads all dead letters of the record's topic).
        raw: Write exactly the value's bytes to standard output.
        as_json: One JSON object; bytes that are not UTF-8 are in Base64.
    """
    settings = command_settings()
    wanted = parse_position(place, settings.topics.dead_letters)
    letter = wait_for(find_dead_letter(settings, wanted))
    if letter is None:
        raise AftersendError(f"there is no dead letter at {wanted}: `aftersend dead-letters list` prints the positions")
    if raw:
        if sys.stdout.isatty():
            raise UsageError("--raw writes the bytes as they are, which a terminal would execute: redirect the output")
        sys.stdout.buffer.write(letter.value or b"")
        sys.stdout.buffer.flush()
    elif as_json:
        print_json(letter_as_json(letter, content=True))
    else:
        for line in letter_details(letter):
            say(printable(line))


LimitReplay = Annotated[
    Natural, Parameter(help="Maximum number of dead letters, in the order of the partitions; 0: all.")
]
Replayed = Annotated[Flag, Parameter(help="Include dead letters of replayed records.")]
AsNew = Annotated[
    Flag, Parameter(help="Use the current time as timestamp: for records whose own timestamp is the error.")
]
DryRun = Annotated[Flag, Parameter(help="Only show what would be written.")]
Yes = Annotated[Flag, Parameter(help="Write without confirmation.")]
AsJsonReplay = Annotated[Json, Parameter(help="One JSON object; requires --yes or --dry-run.")]


@app.command(name="replay")
def replay_(
    *,
    source: Source = None,
    error: Error = "",
    since: Since = None,
    until: Until = None,
    limit: LimitReplay = 0,
    replayed: Replayed = False,
    as_new: AsNew = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: AsJsonReplay = False,
) -> int:
    """Write the records of dead letters back to their topics, to be parsed again.

    Key, value, headers, partition and Kafka timestamp are unchanged, so a record counts as having arrived when it first
    did. The header aftersend.replayed holds its first position. The dead letters stay until their retention ends
    (AFTERSEND_RAW_RETENTION_DAYS).

    Events that were counted before are duplicates by their ids, so a replay counts nothing twice; but a recipient's row
    remembers its last 32 events only, so avoid repeated replays. A record that is still unreadable becomes a new dead
    letter, marked as replayed. Those are excluded from later replays, since their first letters are still there.

    For example:

        aftersend dead-letters replay --dry-run
        aftersend dead-letters replay --source tracking --since 1d
        aftersend dead-letters replay --error "not valid JSON" --limit 10 --yes

    A record too large for a letter stays in its own topic; its letter refers to it, and a replay reads it there.

    Exit codes: 0 done, 1 not confirmed or records are gone, 3 invalid settings, 4 not all records are acknowledged:
    repeat the command.
    """
    settings = command_settings()
    selection = _selection(settings, source, error, since, until, replayed=replayed)
    require_confirmable(dry_run=dry_run, yes=yes, as_json=as_json)
    return wait_for(_replay(settings, selection, limit, as_new=as_new, dry_run=dry_run, yes=yes, as_json=as_json))


def _selection(
    settings: Settings, source: str | None, error: str, since: str | None, until: str | None, *, replayed: bool = True
) -> DeadLetterFilter:
    now = time.time()
    return DeadLetterFilter(
        topics=topics_of(settings, source),
        error=error,
        since=when_or_none(since, now),
        until=when_or_none(until, now),
        replayed=replayed,
    )


async def _replay(
    settings: Settings,
    selection: DeadLetterFilter,
    limit: int,
    *,
    as_new: bool,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> int:
    async with DeadLetterReader(settings) as reader:
        counts = await count_letters(reader, selection, limit)
        total, done = counts.total(), ReplayOutcome(0, [])
        if not as_json:
            _announce(counts, dry_run=dry_run)
        if total and not dry_run:
            if not yes and not confirm(f"Write {count(total)} records?"):
                console().print("nothing was written")
                return EXIT_FAILED
            with progress("replaying", total, shown=sys.stderr.isatty() and not as_json) as on_acknowledged:
                done = await replay(
                    settings, reader, selection, limit=limit, as_new=as_new, on_acknowledged=on_acknowledged
                )
    if as_json:
        print_json(
            {
                "letters": total,
                "written": done.written,
                "lost": done.lost,
                "dry_run": dry_run,
                "counts": _counts(counts),
            }
        )
    else:
        _show_outcome(done)
    return EXIT_FAILED if done.lost else EXIT_OK


def _show_outcome(done: ReplayOutcome) -> None:
    if done.written:
        console().print(
            f"{count(done.written)} records written back; records that are still unreadable become dead letters again: "
            "aftersend dead-letters list"
        )
    if done.lost:
        console().print(
            f"{count(len(done.lost))} records are gone: their letters only refer to them, since they were too large, "
            f"and their topics do not hold them any more: {', '.join(done.lost[:_MOST_LISTED])}"
        )


def _announce(counts: Counter[tuple[str, str]], *, dry_run: bool) -> None:
    screen = console()
    if not counts:
        screen.print("no dead letters to replay")
        return
    screen.print(f"{count(counts.total())} records {'would be' if dry_run else 'to be'} written back to their topics")
    screen.print(letter_counts(counts))


def _counts(counts: Counter[tuple[str, str]]) -> list[dict[str, object]]:
    return [{"topic": topic, "error": error, "letters": number} for (topic, error), number in counts.most_common()]
