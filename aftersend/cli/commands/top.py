"""`aftersend top`."""

from __future__ import annotations

import sys
from typing import Annotated, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from aftersend.cli.context import Json, command_settings, wait_for
from aftersend.cli.top.run import Top
from aftersend.errors import EXIT_OK

#: `aftersend.services.monitor.rates.SORTS` as a type.
SortName = Literal["activity", "updated", "audience", "delivered", "opens", "bounces", "complaints", "name"]


Interval = Annotated[
    float,
    Parameter(validator=Number(gte=0.2, lte=3600), help="Seconds between two snapshots; rates are over this time."),
]
Deliveries = Annotated[int, Parameter(validator=Number(gte=1), help="Number of deliveries to show at most.")]
Sort = Annotated[SortName, Parameter(help="Sort order of the deliveries.")]
Once = Annotated[bool, Parameter(negative="", show_default=False, help="One screen, from two snapshots.")]
AsJson = Annotated[Json, Parameter(help="One line of JSON for each snapshot.")]


def top(
    *,
    interval: Interval = 2.0,
    deliveries: Deliveries = 20,
    sort: Sort = "activity",
    once: Once = False,
    as_json: AsJson = False,
) -> int:
    """Show deliveries and pipeline, live.

    At the top, the pipeline: for each topic that workers consume, the records committed a second, the records that
    wait, and the age of the first of them. Then the decisions: events of all deliveries by decision, in total and a
    second. At the bottom, the deliveries with their KPIs.

    KPIs and decisions are read from Redis, the pipeline from Kafka: committed offsets of the consumer group, ends of
    the topics, and the timestamp of the next record. Workers are not contacted, so the command runs anywhere, and
    without them.

    Keys: q or Ctrl-C quits, s sorts by the next column. In a pipe or a file, one screen follows the other, without
    colours.

    For example:

        aftersend top
        aftersend top --interval 0.5 --deliveries 50 --sort opens
        aftersend top --once
        aftersend top --json | jq -r '[.at, .events_per_second] | @tsv'

    Exit codes: 0 done, 1 with --once: Redis or Kafka does not answer, 3 invalid settings.
    """
    run = Top(command_settings(), interval, deliveries, sort, as_json=as_json)
    if once:
        return wait_for(run.once())
    try:
        return wait_for(run.live() if sys.stdout.isatty() and not as_json else run.lines())
    except KeyboardInterrupt:  # Ctrl-C is how the command ends
        return EXIT_OK
