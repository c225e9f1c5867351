"""CPU time that parsing takes: records of a simulated campaign in, canonical events out, for any source.

Of a source that sends several events in a request, each record is one event. Run: `python -m benchmarks.parse SOURCE`.
"""

import argparse
import statistics
import time
from itertools import islice

from aftersend.sandbox.simulation.campaign import simulate_campaign
from aftersend.sandbox.simulation.simulators import SIMULATED
from aftersend.sources.base import SourceOptions
from aftersend.sources.registry import REGISTRY

RECORDS = 2_000
ROUNDS = 50


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("source", choices=SIMULATED)
    source = arguments.parse_args().source
    campaign = simulate_campaign(RECORDS, 3, 7, 1757069812.0, source=source, broken=0)
    records = list(islice((record.value for record in campaign if record.source == source), RECORDS))
    parse = REGISTRY[source].parser(SourceOptions())
    rounds = []
    for _ in range(ROUNDS):
        start = time.process_time()
        for record in records:
            list(parse(record))
        rounds.append((time.process_time() - start) / len(records) * 1e6)
    median = statistics.median(rounds)
    print(f"{len(records)} records of {statistics.mean(map(len, records)):.0f} bytes, {ROUNDS} rounds")
    print(
        f"parse: {median:.2f} µs of CPU a record (best {min(rounds):.2f}); {1e6 / median:,.0f} records per CPU second"
    )


if __name__ == "__main__":
    main()
