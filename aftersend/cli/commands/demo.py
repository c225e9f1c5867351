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

    Args:
        recipients: Recipients of all deliveries together.
        deliveries: Number of deliveries; each recipient is in two of them.
        seed: Seed of the campaign.
        rate: Raw records a second; 0: as fast as possible.
        processes: Worker processes.
        store: Store of the worker's rows.
        keep_running: Keep the servers running after the campaign, until Ctrl-C, and print commands to try.
        picture: Also write the last screen to this file, as SVG.
        as_json: Print one JSON object at the end, and nothing else to standard output.
    """
    from aftersend.cli.demo.run import Demo
    from aftersend.sandbox.demo.session import DemoOptions

    return Demo(DemoOptions(recipients, deliveries, seed, rate, processes, store, keep_running, as_json, picture)).run()
