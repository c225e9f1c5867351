"""`aftersend worker`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from aftersend.config.settings import Settings
from aftersend.processes.launch import run_processes


def worker(*, processes: Annotated[int, Parameter(validator=Number(gte=0, lte=256))] = 1) -> int:
    """Run a worker: parse raw records, fold events into state and KPIs, until stopped.

    Workers with the same AFTERSEND_APP_ID share the partitions, on one machine or several: a new worker takes over some
    of them, and the partitions of a stopped one (SIGTERM, Ctrl-C) go to the others. Each needs a directory of its own
    (AFTERSEND_DATA_DIR; `--processes` appends a number). The topics must exist: run `aftersend topics apply` first.

    While it runs, http://127.0.0.1:6066/ready (AFTERSEND_WEB_PORT) answers 200 if all of its partitions are taken over,
    else 503; /live answers 200 if it makes progress; /metrics is for Prometheus. With several processes, the second
    serves port 6067, and so on.

    For example:

        aftersend worker
        aftersend worker --processes 0
        AFTERSEND_STORE=rocksdb AFTERSEND_DATA_DIR=/var/lib/aftersend aftersend worker

    If too many records of a source are unreadable (AFTERSEND_BREAKER_SHARE), its partitions pause, and the worker
    continues with the others (`aftersend sources`).

    Exit codes: 0 stopped by a signal, 3 invalid settings, 4 Kafka is unusable, 6 crashed, 7 the disk of the RocksDB
    store is full or can't be used (nothing is lost; start it again once there is room), 8 the state in the changelogs
    is missing or damaged (docs/guide/operate.md).

    Args:
        processes: Number of worker processes; 0: one for each core. A process that crashes is restarted.
    """
    return run_processes("worker", processes, "web_port", for_process, _run)


def _run(settings: Settings, log_fields: Mapping[str, object]) -> int:
    from aftersend.processes.worker import run_worker

    return run_worker(settings, log_fields=log_fields)


def for_process(settings: Settings, index: int) -> Settings:
    """Return the settings of one of several processes: with its own directory and port."""
    own = {
        "data_dir": settings.data_dir / f"worker-{index}",
        "web_port": settings.web_port + index if settings.web_port else 0,
    }
    return settings.model_copy(update=own)
