"""`aftersend demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from aftersend.cli.context import Json


def demo(
    *,
    recipients: Annotated[int, Parameter(validator=Number(gte=1))] = 20_000,
    deliveries: Annotated[int, Parameter(validator=Number(gte=1))] = 3,
    seed: int = 1,
    rate: Annotated[float, Parameter(validator=Number(gte=0))] = 2000.0,
    processes: Annotated[int, Parameter(validator=Number(gte=1, lte=64))] = 1,
    store: Literal["memory", "rocksdb"] = "memory",
    keep_running: Annotated[bool, Parameter(negative="")] = False,
    picture: Path | None = None,
    as_json: Json = False,
) -> int:
    """Play a simulated campaign through a Kafka and Redis of its own.

    Starts a real Kafka, a Redis, a worker and a gateway on free ports of this machine. Most of a campaign is written as
    an MTA and a tracker write their logs, the rest is posted to the gateway as providers post webhooks: out of order,
    3 % of it twice and one event 46 times, late, broken, with bounces of every class, retries, complaints and opens by
    machines. Shows the KPIs live, checks every number against a plain reference fold of the same input in the end, and
    explains one recipient. Nothing of it stays behind, and settings of yours (AFTERSEND_…) are left alone.

    For example:

        aftersend demo
        aftersend demo --recipients 100000 --rate 0 --processes 2
        aftersend demo --keep-running

    Exit codes: 0 all numbers are equal, 1 some differ or the demo can't run here, 130 Ctrl-C before the end.

    Args:
        recipients: Of all deliveries together.
        deliveries: How many there are; a recipient is in two of them.
        seed: Another seed, another campaign.
        rate: Raw records written a second; 0: as fast as it goes.
        processes: Worker processes.
        store: Where the worker keeps its rows.
        keep_running: Stay up when the campaign is over, until Ctrl-C, with commands to try.
        picture: Also write the last screen to this file, as SVG.
        as_json: One JSON object in the end, and nothing else on standard output.
    """
    from aftersend.cli.demo.run import Demo, DemoOptions

    return Demo(DemoOptions(recipients, deliveries, seed, rate, processes, store, keep_running, as_json, picture)).run()
