"""`aftersend worker`."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Annotated, Final

import structlog
from cyclopts import Parameter
from cyclopts.validators import Number

from engine import lifeline, logs
from engine.errors import EXIT_SETTINGS, AftersendError
from engine.settings import Settings, load, misspelt
from engine.supervisor import Child, supervise

log = structlog.get_logger(__name__)

#: Tells a child of the supervisor which one it is; nothing that an operator sets.
INDEX: Final = "_AFTERSEND_WORKER_INDEX"
_MAX_PORT: Final = 65_535
_LAST_SECONDS: Final = 5.0


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
    settings = load()
    logs.configure(settings.log_level, settings.log_format)
    for hint in misspelt(os.environ):
        log.warning(hint)
    count = processes or os.cpu_count() or 1
    index = os.environ.get(INDEX)
    if index is not None:
        lifeline.end_with_parent()
        return _run(for_process(settings, int(index)), {"worker": int(index)})
    if count == 1:
        return _run(for_process(settings, 0), {})
    if settings.web_port + count - 1 > _MAX_PORT:
        log.error("no port is left for the last process: lower AFTERSEND_WEB_PORT", processes=count)
        return EXIT_SETTINGS
    command = [sys.executable, "-P", "-m", "cli.main", "worker"]
    return supervise([Child(command, {**os.environ, INDEX: str(i)}) for i in range(count)])


def _run(settings: Settings, log_fields: Mapping[str, object]) -> int:
    from cli.worker import run_worker  # noqa: PLC0415 - some 40 MB that the supervisor can do without

    try:
        code = run_worker(settings, log_fields=log_fields)
    except AftersendError as error:
        # A line of the log like any other, for whoever collects them.
        log.error(str(error), exit_code=error.exit_code)  # noqa: TRY400 - what is to be done is in the words
        code = error.exit_code
    # A thread of a library's that does not end must not keep the process from ending.
    lifeline.Deadline(_LAST_SECONDS, code).start()
    return code


def for_process(settings: Settings, index: int) -> Settings:
    """Return the settings of one of several processes: directory and port of its own."""
    own = {
        "data_dir": settings.data_dir / f"worker-{index}",
        "web_port": settings.web_port + index if settings.web_port else 0,
    }
    return settings.model_copy(update=own)
