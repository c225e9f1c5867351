"""`aftersend top`."""

from __future__ import annotations

import sys
from typing import Annotated, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from aftersend.cli.context import Json, command_settings, wait_for
from aftersend.cli.top.run import Top
from aftersend.errors import EXIT_OK

#: `aftersend.services.monitor.rates.SORTS`, as the command line's types want it.
Sort = Literal["activity", "updated", "audience", "delivered", "opens", "bounces", "complaints", "name"]


def top(
    *,
    interval: Annotated[float, Parameter(validator=Number(gte=0.2, lte=3600))] = 2.0,
    deliveries: Annotated[int, Parameter(validator=Number(gte=1))] = 20,
    sort: Literal[
        "activity", "updated", "audience", "delivered", "opens", "bounces", "complaints", "name"
    ] = "activity",
    once: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    as_json: Json = False,
) -> int:
    """Show deliveries and the pipeline, live.

    Above, the pipeline: for each topic that workers read, how many records a second they commit, how many wait, and for
    how long the first of these has been waiting. Then the decisions, of all deliveries together: how many events so
    far, and how many a second. Below, the deliveries that something happens to, with their KPIs.

    KPIs and decisions come from Redis, all else from Kafka: the group's committed offsets, the topics' ends, and the
    timestamp of the next record. Nothing is asked of the workers, so it runs anywhere, and when they do not.

    Keys: q or Ctrl-C to quit, s to sort by something else. In a pipe or a file there is one picture after the other,
    without colours; --once gives one.

    For example:

        aftersend top
        aftersend top --interval 0.5 --deliveries 50 --sort opens
        aftersend top --once
        aftersend top --json | jq -r '[.at, .events_per_second] | @tsv'

    With --once: exit code 1 if Redis or Kafka does not answer.

    Args:
        interval: Seconds between two looks; rates are over this time.
        deliveries: How many to show at most.
        sort: By what.
        once: One picture, of two looks, and no more.
        as_json: JSON: one line for each look.
    """
    run = Top(command_settings(), interval, deliveries, sort, as_json=as_json)
    if once:
        return wait_for(run.once())
    try:
        return wait_for(run.live() if sys.stdout.isatty() and not as_json else run.lines())
    except KeyboardInterrupt:  # the way to end this
        return EXIT_OK
