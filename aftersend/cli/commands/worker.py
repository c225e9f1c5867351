"""`aftersend worker`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from aftersend.config.settings import Settings
from aftersend.processes.launch import run_processes


def worker(*, processes: Annotated[int, Parameter(validator=Number(gte=0, lte=256))] = 1) -> int:
    """Take in feedback, keep state and KPIs, until stopped.

    Workers with the same AFTERSEND_APP_ID share the partitions among them, on one machine or on many: start more, and
    they take their part; stop one (SIGTERM, Ctrl-C), and the others take over. Each needs a directory of its own
    (AFTERSEND_DATA_DIR; `--processes` sees to it). Topics have to be there: `aftersend topics apply`.

    While it runs, http://127.0.0.1:6066/ready tells whether it has its partitions in hand (503 until then), and /live
    whether it gets on with its work; /metrics is for Prometheus. With several processes the second one serves port
    6067, and so on.

    For example:

        aftersend worker
        aftersend worker --processes 0
        AFTERSEND_STORE=rocksdb AFTERSEND_DATA_DIR=/var/lib/aftersend aftersend worker

    Exit codes: 0 stopped when asked to, 3 settings, 4 Kafka can't be used, 5 too many records could not be read
    (nothing of that batch is lost), 6 crashed.

    Args:
        processes: How many worker processes to run; 0: one for each core. A process that crashes is started again.
    """
    return run_processes("worker", processes, "web_port", for_process, _run)


def _run(settings: Settings, log_fields: Mapping[str, object]) -> int:
    from aftersend.processes.worker import run_worker

    return run_worker(settings, log_fields=log_fields)


def for_process(settings: Settings, index: int) -> Settings:
    """Return the settings of one of several processes: directory and port of its own."""
    own = {
        "data_dir": settings.data_dir / f"worker-{index}",
        "web_port": settings.web_port + index if settings.web_port else 0,
    }
    return settings.model_copy(update=own)
