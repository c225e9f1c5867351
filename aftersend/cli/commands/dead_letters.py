"""`aftersend dead-letters`."""

from __future__ import annotations

import sys
import time
from collections import Counter
from typing import Annotated, Final

from cyclopts import App, Parameter
from cyclopts.validators import Number

from aftersend.cli.context import Json, command_settings, wait_for
from aftersend.cli.render import dead_letters
from aftersend.cli.render.output import console, count, print_json
from aftersend.cli.render.progress import progress
from aftersend.cli.times import when
from aftersend.config.settings import Settings
from aftersend.engine import admin
from aftersend.errors import EXIT_FAILED, EXIT_OK, AftersendError, UsageError
from aftersend.schemas.raw import RecordPosition
from aftersend.services.dead_letters.letters import (
    DeadLetter,
    DeadLetterFilter,
    DeadLetterReader,
    parse_position,
    topics_of,
)
from aftersend.services.dead_letters.replay import plan, replay

app: Final = App(
    name="dead-letters",
    help="""Look at records that could not be read, and replay them.

    A raw record that its source's parser can't read goes to the dead-letter topic, byte for byte, with the reason in
    its headers, and the stream goes on. Look at what it is (`show`), mend what was wrong (the parser, a setting, the
    writer), and have it read once more (`replay`).
    """,
)

Source = Annotated[str | None, Parameter(name="--source")]
Natural = Annotated[int, Parameter(validator=Number(gte=0))]


@app.command(name="list")
def list_(
    *,
    source: Source = None,
    error: str = "",
    since: str | None = None,
    until: str | None = None,
    limit: Natural = 20,
    as_json: Json = False,
) -> None:
    """List dead letters, the latest first, and count them by topic and class of error.

    For example:

        aftersend dead-letters list
        aftersend dead-letters list --source tracking --since 2h
        aftersend dead-letters list --error "not valid JSON" --limit 100
        aftersend dead-letters list --json | jq -r .place

    Args:
        source: A source, "events", or a topic by its name: only what came from there.
        error: Only errors of this class, or with this in their message; upper or lower case.
        since: Only records that arrived since then: 90s, 15min, 2h, 3d, 1w ago, or ISO 8601.
        until: Only records that arrived before then.
        limit: How many to list; all are counted.
        as_json: A line for each letter that is listed, the latest first, and a last one with the counts.
    """
    settings = command_settings()
    found = wait_for(_overview(settings, _filters(settings, source, error, since, until), limit))
    if as_json:
        for letter in found.latest():
            print_json(dead_letters.as_json(letter, content=False))
        print_json({"letters": found.total, "of_replays": found.replayed, "counts": _counts(found.counts)})
        return
    screen = console()
    if not found.total:
        screen.print("no dead letters" + (" that this holds for" if source or error or since or until else ""))
        return
    screen.print(dead_letters.listing(found.latest()))
    screen.print(f"\n{count(found.total)} dead letters")
    screen.print(dead_letters.summary(found.counts))
    if found.total > limit:
        screen.print(f"the latest {limit} are listed: --limit {found.total} for all")
    screen.print("one of them: aftersend dead-letters show PARTITION:OFFSET")


@app.command
def show(
    place: str,
    /,
    *,
    raw: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    as_json: Json = False,
) -> None:
    """Show one dead letter: why it is here, its headers, and its bytes.

    JSON is shown indented, other text as it is, anything else in hexadecimal.

    For example:

        aftersend dead-letters show 3:17
        aftersend dead-letters show feedback.raw.tracking-1-4711    # by the record that could not be read
        aftersend dead-letters show 3:17 --raw | aftersend parse tracking

    Args:
        place: PARTITION:OFFSET on the dead-letter topic, as `list` shows it; or TOPIC-PARTITION-OFFSET, there or of
            the record it is about, as logs name it (for which all letters of that topic are looked through).
        raw: Write the value's bytes to standard output, exactly these.
        as_json: One JSON object; what is no UTF-8 is in Base64.
    """
    settings = command_settings()
    wanted = parse_position(place, settings.topics.dead_letters)
    letter = wait_for(_find(settings, wanted))
    if letter is None:
        raise AftersendError(f"there is no dead letter at {wanted}: `aftersend dead-letters list` shows where they are")
    if raw:
        sys.stdout.buffer.write(letter.value or b"")
        sys.stdout.buffer.flush()
    elif as_json:
        print_json(dead_letters.as_json(letter, content=True))
    else:
        for line in dead_letters.picture(letter):
            print(line)


@app.command(name="replay")
def replay_(
    *,
    source: Source = None,
    error: str = "",
    since: str | None = None,
    until: str | None = None,
    limit: Natural = 0,
    replayed: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    as_new: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    dry_run: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    yes: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    as_json: Json = False,
) -> int:
    """Write dead letters back to the topics they came from, to be read once more.

    Key, value and headers are the record's own, byte for byte, and it keeps its partition and its Kafka timestamp, so
    that it counts as having arrived when it did: what came in time is not late. A header, aftersend.replayed, says
    where it lay first. The dead letters stay where they are, until their time is over (AFTERSEND_RAW_RETENTION_DAYS).

    Events that were counted before are known again by their ids and count as duplicates, so replaying twice does not
    count twice; but a recipient's row knows its last 32 events only, so don't make it a habit. What still can't be read
    comes back as a new dead letter, shown as "replayed". Those are left out of the next replay, since the letters they
    come of are still there and are the same.

    For example:

        aftersend dead-letters replay --dry-run
        aftersend dead-letters replay --source tracking --since 1d
        aftersend dead-letters replay --error "not valid JSON" --limit 10 --yes

    Exit codes: 0 done, 1 not confirmed, 4 Kafka has not taken all of them.

    Args:
        source: A source, "events", or a topic by its name: only what came from there.
        error: Only errors of this class, or with this in their message; upper or lower case.
        since: Only records that arrived since then: 90s, 15min, 2h, 3d, 1w ago, or ISO 8601.
        until: Only records that arrived before then.
        limit: At most so many, the first of each partition first; 0: all.
        replayed: Also letters that come of a replay.
        as_new: Let them arrive now, by their timestamp: for records whose own timestamp is what is wrong with them.
        dry_run: Only say what would be done.
        yes: Don't ask.
        as_json: One JSON object; does not ask, so it needs --yes or --dry-run.
    """
    settings = command_settings()
    filters = _filters(settings, source, error, since, until, replayed=replayed)
    if not dry_run and not yes and (as_json or not sys.stdin.isatty()):
        raise UsageError("nobody is there to be asked: say --yes, or --dry-run to see what would be done")
    return wait_for(_replay(settings, filters, limit, as_new=as_new, dry_run=dry_run, yes=yes, as_json=as_json))


def _filters(
    settings: Settings, source: str | None, error: str, since: str | None, until: str | None, *, replayed: bool = True
) -> DeadLetterFilter:
    now = time.time()
    return DeadLetterFilter(
        topics=topics_of(settings, source),
        error=error,
        since=None if since is None else when(since, now),
        until=None if until is None else when(until, now),
        replayed=replayed,
    )


async def _overview(settings: Settings, filters: DeadLetterFilter, limit: int) -> dead_letters.Overview:
    found = dead_letters.Overview(limit)
    async with DeadLetterReader(settings) as letters:
        async for letter in letters.read(filters):
            found.add(letter)
    return found


async def _find(settings: Settings, place: RecordPosition) -> DeadLetter | None:
    async with DeadLetterReader(settings) as letters:
        return await letters.at(place)


async def _replay(
    settings: Settings, filters: DeadLetterFilter, limit: int, *, as_new: bool, dry_run: bool, yes: bool, as_json: bool
) -> int:
    async with DeadLetterReader(settings) as letters:
        counts = await plan(letters, filters, limit)
        total, written = counts.total(), 0
        if not as_json:
            _announce(counts, dry_run=dry_run)
        if total and not dry_run:
            if not yes and not _agreed(total):
                console().print("nothing was written")
                return EXIT_FAILED
            partitions = (await admin.inspect(settings.kafka_options())).partitions
            with progress("replaying", total, shown=sys.stderr.isatty() and not as_json) as on_written:
                written = await replay(
                    settings, letters, filters, partitions, limit=limit, as_new=as_new, on_written=on_written
                )
    if as_json:
        print_json({"letters": total, "written": written, "dry_run": dry_run, "counts": _counts(counts)})
    elif written:
        console().print(
            f"{count(written)} records written back; those that still can't be read come back as dead letters: "
            "aftersend dead-letters list"
        )
    return EXIT_OK


def _announce(counts: Counter[tuple[str, str]], *, dry_run: bool) -> None:
    screen = console()
    if not counts:
        screen.print("no dead letters to replay")
        return
    screen.print(f"{count(counts.total())} records {'would be' if dry_run else 'to be'} written back to their topics")
    screen.print(dead_letters.summary(counts))


def _agreed(total: int) -> bool:
    print(f"Write {count(total)} records? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().casefold() in {"y", "yes"}


def _counts(counts: Counter[tuple[str, str]]) -> list[dict[str, object]]:
    return [{"topic": topic, "error": error, "letters": number} for (topic, error), number in counts.most_common()]
