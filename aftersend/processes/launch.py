"""Starting a long-running command: one process, or several under a supervisor."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from typing import Final

import structlog

from aftersend.config.loading import load, misspelt
from aftersend.config.settings import Settings
from aftersend.config.types import PREFIX
from aftersend.errors import EXIT_SETTINGS, AftersendError
from aftersend.processes import logs, shutdown
from aftersend.processes.supervisor import Child, supervise

log = structlog.get_logger(__name__)

_MAX_PORT: Final = 65_535
#: Time for Python to end after a command has, seconds: it waits for the threads of libraries.
_EXIT_SECONDS: Final = 5.0

#: Runs one process with its settings and additional fields of its log lines; returns the exit code.
Run = Callable[[Settings, Mapping[str, object]], int]


def run_processes(
    command: str,
    processes: int,
    port_setting: str,
    for_process: Callable[[Settings, int], Settings],
    run: Run,
    *,
    hangup: bool = False,
) -> int:
    """Run a command's processes until they end; return the exit code.

    Args:
        command: its name.
        processes: number of processes; 0: one for each core.
        port_setting: setting of the port: each process has one of its own, counted on from it.
        for_process: returns the settings of one process.
        run: runs one process.
        hangup: whether SIGHUP is passed on to the processes.

    Raises:
        SettingsError: if a setting is wrong.
    """
    settings = load()
    logs.configure(settings.log_level, settings.log_format)
    for hint in misspelt(os.environ):
        log.warning(hint)
    count = processes or os.cpu_count() or 1
    # The index of a child of the supervisor; not a setting for operators.
    variable = f"_{PREFIX}{command.upper()}_INDEX"
    index = os.environ.get(variable)
    if index is not None:
        shutdown.end_with_parent()
        return _run_one(run, for_process(settings, int(index)), {command: int(index)})
    if count == 1:
        return _run_one(run, for_process(settings, 0), {})
    if getattr(settings, port_setting) + count - 1 > _MAX_PORT:
        message = f"no port is left for the last process: lower {PREFIX}{port_setting.upper()}"
        log.error(message, processes=count)
        return EXIT_SETTINGS
    line = [sys.executable, "-P", "-m", "aftersend.cli.main", command]
    return supervise([Child(line, {**os.environ, variable: str(i)}) for i in range(count)], hangup=hangup)


def _run_one(run: Run, settings: Settings, log_fields: Mapping[str, object]) -> int:
    """Run one process to its end."""
    try:
        code = run(settings, log_fields)
    except AftersendError as error:
        # As a line of the log, since logs may be collected.
        log.error(str(error), exit_code=error.exit_code)  # noqa: TRY400 - the message says what to do
        code = error.exit_code
    # A library's thread that does not end must not keep the process alive.
    shutdown.Deadline(_EXIT_SECONDS, code).start()
    return code
