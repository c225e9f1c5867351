"""`python -m aftersend.sandbox.embedded`: downloads the embedded servers, or runs them in the foreground."""

import argparse
import json
import signal
import sys
import tempfile
import threading
from contextlib import ExitStack
from pathlib import Path

from aftersend.sandbox.embedded.errors import EmbeddedUnavailableError
from aftersend.sandbox.embedded.jars import LOCK_FILE, ensure_jars
from aftersend.sandbox.embedded.java import find_java
from aftersend.sandbox.embedded.kafka import EmbeddedKafka
from aftersend.sandbox.embedded.redis import EmbeddedRedis


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        if options.command == "prefetch":
            return prefetch()
        if options.command == "lock-jars":
            return lock_jars()
        return up(options.data, options.kafka_port, options.redis_port)
    except EmbeddedUnavailableError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def prefetch() -> int:
    """Download Kafka's jars into the user's cache and check for Java; a terminal shows the progress."""
    interactive = sys.stderr.isatty()

    def show(done: int, total: int) -> None:
        if interactive:
            print(f"\rKafka: {done} of {total} jars", end="", file=sys.stderr, flush=True)

    paths = ensure_jars(show)
    if interactive:
        print("\r\033[K", end="", file=sys.stderr)
    find_java()
    print(f"Kafka: all {len(paths)} jars are in the cache", file=sys.stderr)
    return 0


def lock_jars() -> int:
    """Rewrite the lock file of jars."""
    from aftersend.sandbox.embedded.lock import lock_text

    with tempfile.TemporaryDirectory() as folder:
        LOCK_FILE.write_text(lock_text(Path(folder)))
    return 0


def up(data_dir: Path, kafka_port: int, redis_port: int) -> int:
    """Run both servers until SIGINT or SIGTERM; prints their addresses as one line of JSON once both are ready."""
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with ExitStack() as stack:
        kafka = stack.enter_context(EmbeddedKafka(data_dir / "kafka", kafka_port))
        redis = stack.enter_context(EmbeddedRedis(data_dir / "redis", redis_port, persistent=True))
        print(json.dumps({"kafka_bootstrap": kafka.bootstrap, "redis_url": redis.url}), flush=True)
        while not ended.wait(0.5):
            for server in (kafka, redis):
                if not server.running:
                    raise EmbeddedUnavailableError(f"{server.name} ended unexpectedly (log: {server.log_path})")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m aftersend.sandbox.embedded", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("prefetch", help="download Kafka's jars into the user's cache")
    commands.add_parser("lock-jars", help="rewrite the lock file of jars, for a new version of Kafka")
    run = commands.add_parser("up", help="run Kafka and Redis in the foreground")
    run.add_argument("--data", type=Path, required=True, help="folder for the servers' data")
    run.add_argument("--kafka-port", type=int, default=0, help="0 selects a free port")
    run.add_argument("--redis-port", type=int, default=0, help="0 selects a free port")
    return parser


if __name__ == "__main__":
    sys.exit(main())
