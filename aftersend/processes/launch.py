"""Commands that run until they are stopped, as one process or as several under a supervisor."""

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
_LAST_SECONDS: Final = 5.0

#: Runs one process with its settings and the fields that its log lines have besides; returns the exit code.
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
        processes: how many; 0: one for each core.
        port_setting: the setting of the port that each process has one of: the second the next one, and so on.
        for_process: returns the settings of one of them.
        run: runs one.
        hangup: whether SIGHUP is passed on to them.

    Raises:
        SettingsError: if a setting is wrong.
    """
    settings = load()
    logs.configure(settings.log_level, settings.log_format)
    for hint in misspelt(os.environ):
        log.warning(hint)
    count = processes or os.cpu_count() or 1
    # Tells a child of the supervisor which one it is; nothing that an operator sets.
    variable = f"_{PREFIX}{command.upper()}_INDEX"
    index = os.environ.get(variable)
    if index is not None:
        shutdown.end_with_parent()
        return _ended(run, for_process(settings, int(index)), {command: int(index)})
    if count == 1:
        return _ended(run, for_process(settings, 0), {})
    if getattr(settings, port_setting) + count - 1 > _MAX_PORT:
        message = f"no port is left for the last process: lower {PREFIX}{port_setting.upper()}"
        log.error(message, processes=count)
        return EXIT_SETTINGS
    line = [sys.executable, "-P", "-m", "aftersend.cli.main", command]
    return supervise([Child(line, {**os.environ, variable: str(i)}) for i in range(count)], hangup=hangup)


def _ended(run: Run, settings: Settings, log_fields: Mapping[str, object]) -> int:
    """Run one process to its end."""
    try:
        code = run(settings, log_fields)
    except AftersendError as error:
        # A line of the log like any other, for whoever collects them.
        log.error(str(error), exit_code=error.exit_code)  # noqa: TRY400 - what is to be done is in the words
        code = error.exit_code
    # A thread of a library's that does not end must not keep the process from ending.
    shutdown.Deadline(_LAST_SECONDS, code).start()
    return code
