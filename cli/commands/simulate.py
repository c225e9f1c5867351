"""`aftersend simulate`."""

from __future__ import annotations

import contextlib
import random
import sys
import time
from collections.abc import Callable, Iterator
from typing import Annotated, Final

import msgspec
from cyclopts import Parameter
from cyclopts.validators import Number
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from cli.context import Json, command_settings, wait_for
from cli.feeding import feed
from cli.output import console, count, print_json, table
from cli.simulation.campaign import Summary, simulate_campaign
from cli.simulation.messages import delivery
from engine import admin
from engine.errors import KafkaUnusableError
from engine.settings import Settings

#: What a campaign takes when nothing says otherwise: it ends now.
_DURATION: Final = 3 * 3600.0
#: Records for each recipient, on average; the journeys' weights give it.
_RECORDS_EACH: Final = 3.01
_FEWEST: Final = 10.0
_MAX_SEED: Final = 2**31

Positive = Annotated[int, Parameter(validator=Number(gt=0))]


def simulate(
    *,
    recipients: Positive = 1000,
    deliveries: Positive = 3,
    seed: int | None = None,
    rate: Annotated[float, Parameter(validator=Number(gte=0))] = 0.0,
    as_json: Json = False,
) -> None:
    """Write a simulated campaign to the raw topics.

    Raw records as an MTA and a tracker write them, with all that happens in real life: out of order, repeated (3 %,
    one event 46 times), too late, bounces of every class, deferrals that succeed later, complaints, opens by machines,
    test messages, and a few records that can't be read. The topics have to be there (`aftersend topics apply`); workers
    may run or be started later.

    For example:

        aftersend simulate                                   # 1000 recipients, some 3000 records
        aftersend simulate --recipients 100000 --rate 2000   # live: 2000 records a second
        aftersend simulate --seed 7                          # the same campaign each time

    A campaign that is written twice with the same seed counts as duplicates, mostly: that is what duplicates are for.

    Args:
        recipients: How many, of all deliveries together; some three records each.
        deliveries: How many; each recipient is in two of them.
        seed: Another number, another campaign; by default another one each time.
        rate: Records a second, in real time; 0: at once, as a campaign of three hours that ends now.
        as_json: One JSON object with what was written.
    """
    settings = command_settings()
    chosen = seed if seed is not None else random.randrange(_MAX_SEED)  # noqa: S311 - no secret
    expected = int(recipients * _RECORDS_EACH)
    duration = max(_FEWEST, expected / rate) if rate else _DURATION
    start = time.time() - (0.0 if rate else duration)
    summary = Summary()
    records = simulate_campaign(recipients, deliveries, chosen, start, duration=duration, summary=summary)
    began = time.monotonic()
    partitions = wait_for(_partitions(settings))
    with _progress(expected, shown=sys.stderr.isatty() and not as_json) as on_sent:
        wait_for(feed(settings, records, partitions, rate, on_sent))
    seconds = time.monotonic() - began
    ids = [delivery(number).id for number in range(deliveries)]
    told = {"seed": chosen, "seconds": round(seconds, 3), "deliveries": ids, **msgspec.to_builtins(summary)}
    if as_json:
        print_json(told)
        return
    shown = table("Written", "what", "records", right=("records",))
    shown.add_row("all records", count(summary.records))
    for name, number in sorted(summary.steps.items(), key=lambda item: -item[1]):
        shown.add_row(f"  {name}", count(number))
    for name in ("duplicates", "broken", "unattributed", "tests", "late"):
        shown.add_row(name, count(told[name]))
    screen = console()
    screen.print(shown)
    screen.print(f"in {seconds:.1f} s, seed {chosen}; look at it with: aftersend kpi {ids[0]}")


async def _partitions(settings: Settings) -> dict[str, int]:
    cluster = await admin.inspect(settings.kafka_options())
    found = {}
    for source in ("kumomta", "tracking"):
        topic = settings.topics.raw(source)
        if topic not in cluster.partitions:
            message = f"topic {topic} is missing: run `aftersend topics apply` first"
            raise KafkaUnusableError(message)
        found[source] = cluster.partitions[topic]
    return found


@contextlib.contextmanager
def _progress(expected: int, *, shown: bool) -> Iterator[Callable[[int], None]]:
    """Show a bar; gives the function that moves it."""
    if not shown:
        yield lambda _: None
        return
    columns = (TextColumn("writing"), BarColumn(), MofNCompleteColumn(), TextColumn("records"), TimeElapsedColumn())
    with Progress(*columns, transient=True) as bar:
        task = bar.add_task("writing", total=expected)
        yield lambda done: bar.update(task, completed=done, total=max(expected, done))
