"""The peers' job on several engines in one session, in turn, so that the machine's moods hit all alike.

    python -m benchmarks --peers DIR [--parts events,raw] [--rounds 3] [--engines aftersend,kafka-streams,…]

DIR is the folder with the peers (`gen.py`, `reference.py`, `python/`, `kafka-streams/`). A Kafka and a Redis are
started for the session, the topics are filled, each engine runs once to warm the page cache and then so many times;
results count only if `reference.py` says `equal`. Prints one JSON line a run and a table of medians at the end.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from aftersend.sandbox.embedded import EmbeddedKafka, EmbeddedRedis

ROOT = Path(__file__).resolve().parent.parent
SIZES = {"events": 2_000_000, "raw": 1_000_000}
SMALL = {"events": 150_000, "raw": 80_000}

Command = list[str]


def commands(peers: Path, part: str) -> dict[str, Command]:
    """Return the command of each engine for a part of the job."""
    python = [sys.executable]
    return {
        "aftersend": [*python, "-m", "benchmarks.job", part],
        "aftersend-rocksdb": [*python, "-m", "benchmarks.job", part, "--store", "rocksdb"],
        "kafka-streams": ["bash", str(peers / "kafka-streams" / "run.sh"), part, "1", "memory", "on"],
        "plain": [*python, str(peers / "python" / "plain.py"), part],
        "stock-faust": [*python, str(peers / "python" / "stock_faust.py"), part, "--limit", str(SMALL[part])],
    }


class Session:
    """Servers and topics that all engines share."""

    def __init__(self, peers: Path, kafka: EmbeddedKafka, redis: EmbeddedRedis) -> None:
        self._peers = peers
        self._bootstrap = kafka.bootstrap
        self._port = redis.url.rpartition(":")[2].partition("/")[0]
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        self._environment = environment | {
            "BOOTSTRAP": kafka.bootstrap,
            "REDIS_PORT": self._port,
            "GUARANTEE": "exactly_once_v2",
            "PYTHON": sys.executable,
            "PYTHONWARNINGS": "ignore",
        }

    def fill(self, part: str) -> None:
        """Fill a part's topic."""
        generator = str(self._peers / "gen.py")
        subprocess.run([sys.executable, generator, self._bootstrap, part, str(SIZES[part])], check=True)

    def run(self, engine: str, part: str, command: Command) -> dict[str, object] | None:
        """Run an engine; return its line, None if it failed or its answer is not the reference's."""
        run = subprocess.run(
            command, cwd=ROOT, env=self._environment, capture_output=True, text=True, check=False, timeout=600
        )
        lines = [line for line in run.stdout.splitlines() if line.startswith("{")]
        if run.returncode or not lines:
            print(
                f"{engine} {part}: exit code {run.returncode}\n{run.stdout[-500:]}{run.stderr[-1500:]}", file=sys.stderr
            )
            return None
        line: dict[str, object] = json.loads(lines[-1])
        if line["events"] == SIZES[part] and not self._equal(engine, part):
            print(f"{engine} {part}: not equal to the reference", file=sys.stderr)
            return None
        return line

    def _equal(self, engine: str, part: str) -> bool:
        name = "aftersend" if engine.startswith("aftersend") else engine
        reference = [sys.executable, str(self._peers / "reference.py"), self._bootstrap, part, f"bench-{part}", name]
        answer = subprocess.run(
            [*reference, self._port], env=self._environment, capture_output=True, text=True, check=False
        )
        return answer.stdout.strip().endswith("equal")


def main() -> int:
    """Run the session."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", type=Path, default=ROOT.parent / "shared" / "peers")
    parser.add_argument("--parts", default="events,raw")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--engines", default="aftersend,aftersend-rocksdb,kafka-streams,plain,stock-faust")
    args = parser.parse_args()
    if not (args.peers / "gen.py").exists():
        parser.error(f"no gen.py in {args.peers}: name the folder of the peers with --peers")
    wanted = args.engines.split(",")
    with tempfile.TemporaryDirectory() as data:
        kafka = EmbeddedKafka(Path(data) / "kafka", heap="1g")
        redis = EmbeddedRedis(Path(data) / "redis")
        with kafka, redis:
            session = Session(args.peers, kafka, redis)
            medians = []
            failed = False
            for part in args.parts.split(","):
                session.fill(part)
                runs: dict[str, list[float]] = {engine: [] for engine in wanted}
                for turn in range(args.rounds + 1):
                    for engine, command in commands(args.peers, part).items():
                        if engine not in wanted or (engine == "stock-faust" and turn > 1):
                            continue
                        line = session.run(engine, part, command)
                        failed |= line is None
                        if line is not None and (turn or engine == "stock-faust"):
                            runs[engine].append(float(str(line["events_per_cpu_s"])))
                            print(json.dumps(line), flush=True)
                medians += [(part, engine, figures) for engine, figures in runs.items() if figures]
    for part, engine, figures in medians:
        low, middle, high = min(figures), statistics.median(figures), max(figures)
        print(f"{part:7} {engine:20} {middle:>10,.0f} events per CPU second ({low:,.0f} to {high:,.0f})")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
