"""`aftersend demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from aftersend.cli.context import Json

Recipients = Annotated[int, Parameter(validator=Number(gte=1), help="Recipients of all deliveries together.")]
Deliveries = Annotated[
    int, Parameter(validator=Number(gte=1), help="Number of deliveries; each recipient is in two of them.")
]
Seed = Annotated[int, Parameter(help="Seed of the campaign.")]
Rate = Annotated[float, Parameter(validator=Number(gte=0), help="Raw records a second; 0: as fast as possible.")]
Processes = Annotated[int, Parameter(validator=Number(gte=1, lte=64), help="Worker processes.")]
Store = Annotated[Literal["memory", "rocksdb"], Parameter(help="Store of the worker's rows.")]
KeepRunning = Annotated[
    bool,
    Parameter(
        negative="", help="Keep the servers running after the campaign, until Ctrl-C, and print commands to try."
    ),
]
Picture = Annotated[Path | None, Parameter(help="Also write the last screen to this file, as SVG.")]
AsJson = Annotated[Json, Parameter(help="Print one JSON object at the end, and nothing else to standard output.")]


def demo(
    *,
    recipients: Recipients = 20_000,
    deliveries: Deliveries = 3,
    seed: Seed = 1,
    rate: Rate = 2000.0,
    processes: Processes = 1,
    store: Store = "memory",
    keep_running: KeepRunning = False,
    picture: Picture = None,
    as_json: AsJson = False,
) -> int:
    """Run a simulated campaign on a local Kafka and Redis, and verify every number.

    Starts a real Kafka, a Redis, a worker and a gateway on free ports of this machine. Most of the campaign is written
    to Kafka as an MTA's and a tracker's logs, the rest is posted to the gateway as signed webhooks of providers: out of
    order, 3 % of it twice and one event 46 times, late and malformed events, bounces of every class, retries,
    complaints, and opens by machines. Shows the KPIs live, compares every number with a reference implementation, and
    explains one recipient. All files are removed at the end; AFTERSEND_… settings are ignored.

    For example:

        aftersend demo
        aftersend demo --recipients 100000 --rate 0 --processes 2
        aftersend demo --keep-running

    Exit codes: 0 all numbers are equal, 1 numbers differ or the demo can't run on this machine, 130 Ctrl-C before the
    end.
    """
    from aftersend.cli.demo.run import Demo
    from aftersend.sandbox.demo.session import DemoOptions

    return Demo(DemoOptions(recipients, deliveries, seed, rate, processes, store, keep_running, as_json, picture)).run()
