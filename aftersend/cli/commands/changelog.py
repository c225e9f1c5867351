"""`aftersend changelog`."""

from __future__ import annotations

from typing import Annotated, Final

from cyclopts import App, Parameter
from cyclopts.validators import Number

from aftersend.cli.confirmation import confirm, require_confirmable
from aftersend.cli.context import Json, command_settings, wait_for
from aftersend.cli.render.changelog import record_details
from aftersend.cli.render.output import console, print_json
from aftersend.errors import EXIT_FAILED, EXIT_OK
from aftersend.services.changelog.record import Name, read_record
from aftersend.services.changelog.skip import require_skippable
from aftersend.services.changelog.skip import skip as skip_record

app: Final = App(
    name="changelog",
    help="""Look at a record of the state, or skip a damaged one.

    The state is on the topics status, contacts and kpis. A worker that finds a damaged record there ends with exit
    code 8 and names topic, partition and offset
    (docs/guide/operate.md#damaged-changelog-records).
    """,
)

Natural = Annotated[int, Parameter(validator=Number(gte=0))]
Flag = Annotated[bool, Parameter(negative="", show_default=False)]


@app.command
def show(topic: Name, partition: Natural, offset: Natural, *, as_json: Json = False) -> None:
    """Show a record, whether it can be read, other records of its key, and what would be lost with it.

    For example:

        aftersend changelog show contacts 3 4711

    Exit codes: 0 done, 1 no such record, 2 no such partition, 3 invalid settings, 4 Kafka does not answer.

    Args:
        topic: status, contacts or kpis.
        partition: Number of the partition.
        offset: Offset of the record.
        as_json: One JSON object.
    """
    record = wait_for(read_record(command_settings(), topic, partition, offset))
    if as_json:
        print_json(record.as_json())
        return
    screen = console()
    for line in record_details(record):
        screen.print(line, soft_wrap=True)


@app.command
def skip(
    topic: Name,
    partition: Natural,
    offset: Natural,
    *,
    why: str,
    yes: Flag = False,
    as_json: Json = False,
) -> int:
    """Skip a damaged record, with all that is lost with it, so that the partition can be restored.

    Nothing is deleted: a later record of the same key takes its place, without a value; of KPIs, one with the counts
    of recipients as the rows have them. What was skipped, what was lost, who did it and why is written to the control
    topic with it (kept for AFTERSEND_RAW_RETENTION_DAYS), and every worker that runs logs it. A worker that has the
    partition restores it again.

    For example:

        aftersend changelog skip contacts 3 4711 --why "bit rot on broker 2"

    Exit codes: 0 done, 1 not confirmed or no such record, 2 the record can be read or is superseded, 3 invalid
    settings, 4 Kafka does not answer.

    Args:
        topic: status, contacts or kpis.
        partition: Number of the partition.
        offset: Offset of the record.
        why: Why it is skipped: for the log.
        yes: Do not ask.
        as_json: One JSON object: what was written to the control topic.
    """
    settings = command_settings()
    require_confirmable(dry_run=False, yes=yes, as_json=as_json)
    record = wait_for(read_record(settings, topic, partition, offset))
    require_skippable(record)
    screen = console()
    if not as_json:
        for line in record_details(record):
            screen.print(line, soft_wrap=True)
    if not yes and not confirm("Skip it?"):
        return EXIT_FAILED
    note = wait_for(skip_record(settings, record, why))
    if as_json:
        print_json({name: getattr(note, name) for name in note.__struct_fields__})
    else:
        screen.print(f"skipped; lost: {note.lost}", soft_wrap=True)
    return EXIT_OK
