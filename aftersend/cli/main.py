"""The `aftersend` command: its subcommands, and exit codes for errors.

The module of a command is imported only when the command is called, so `aftersend --help` is fast. To add a command,
write its module and its line in `COMMANDS`; `aftersend COMMAND --help` prints its docstring.
"""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Sequence
from typing import Final, NamedTuple

from cyclopts import App, CycloptsError, Group

from aftersend.errors import (
    EXIT_CRASHED,
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_OK,
    EXIT_USAGE,
    AftersendError,
    UsageError,
)

_TRY: Final = Group("Try it", sort_key=1)
_RUN: Final = Group("Run it", sort_key=2)
_ASK: Final = Group("Ask it", sort_key=3)
_CHECK: Final = Group("Check it", sort_key=4)


class Command(NamedTuple):
    """One subcommand."""

    name: str
    #: Module, and function or `App` in it.
    path: str
    group: Group
    #: Line in the overview: the first line of the command's docstring.
    summary: str


COMMANDS: Final = (
    Command(
        "demo",
        "aftersend.cli.commands.demo:demo",
        _TRY,
        "Run a simulated campaign on a local Kafka and Redis, and verify every number.",
    ),
    Command(
        "simulate",
        "aftersend.cli.commands.simulate:simulate",
        _TRY,
        "Write a simulated campaign to the raw topics, or post it to a gateway.",
    ),
    Command("sources", "aftersend.cli.commands.sources:app", _RUN, "List the sources, or resume one that is paused."),
    Command("topics", "aftersend.cli.commands.topics:app", _RUN, "Create the topics, or show them."),
    Command(
        "worker",
        "aftersend.cli.commands.worker:worker",
        _RUN,
        "Run a worker: parse raw records, fold events into state and KPIs, until stopped.",
    ),
    Command(
        "gateway",
        "aftersend.cli.commands.gateway:gateway",
        _RUN,
        "Run a gateway: receive webhooks over HTTP, until stopped.",
    ),
    Command("top", "aftersend.cli.commands.top:top", _ASK, "Show deliveries and pipeline, live."),
    Command("kpi", "aftersend.cli.commands.kpi:kpi", _ASK, "Show the KPIs of a delivery, or list the deliveries."),
    Command(
        "log",
        "aftersend.cli.commands.log:log",
        _ASK,
        "Export a log of a delivery, recipient by recipient, in the format of another product.",
    ),
    Command(
        "recipient",
        "aftersend.cli.commands.recipient:recipient",
        _ASK,
        "Show the status, event history and contact record of one recipient.",
    ),
    Command(
        "explain",
        "aftersend.cli.commands.explain:explain",
        _ASK,
        "Show every event of a recipient, with its decision and the rule behind it.",
    ),
    Command(
        "deliveries", "aftersend.cli.commands.deliveries:app", _ASK, "List deliveries, and declare their properties."
    ),
    Command(
        "audience",
        "aftersend.cli.commands.audience:app",
        _ASK,
        "Load the recipients of a delivery before it is sent.",
    ),
    Command(
        "suppression",
        "aftersend.cli.commands.suppression:app",
        _ASK,
        "Check before a send which addresses may be mailed.",
    ),
    Command(
        "compute-stats",
        "aftersend.cli.commands.compute_stats:compute_stats",
        _CHECK,
        "Recompute the KPIs from the rows, and report drift.",
    ),
    Command(
        "doctor",
        "aftersend.cli.commands.doctor:doctor",
        _CHECK,
        "Check settings, Kafka, topics, workers, Redis, clock and machine, and print what to do.",
    ),
    Command(
        "dead-letters",
        "aftersend.cli.commands.dead_letters:app",
        _CHECK,
        "List and show unreadable records, and replay them.",
    ),
    Command(
        "changelog",
        "aftersend.cli.commands.changelog:app",
        _CHECK,
        "Look at a record of the state, or skip a damaged one.",
    ),
    Command(
        "quarantine",
        "aftersend.cli.commands.quarantine:app",
        _CHECK,
        "List addresses with errors, and release them from quarantine.",
    ),
    Command(
        "parse", "aftersend.cli.commands.parse:parse", _CHECK, "Parse a source's raw records into canonical events."
    ),
    Command(
        "version",
        "aftersend.cli.commands.version:version",
        _CHECK,
        "Show the versions of Aftersend, Python and the main libraries.",
    ),
)

_HELP: Final = """\
Status of every recipient and live KPIs of every delivery, from the logs and webhooks of MTAs and email providers.

Raw records are read from Kafka and counted exactly once; Redis holds the live KPIs.
"""

_EPILOGUE: Final = """\
To start:

    aftersend demo                          # a complete run, without setup
    aftersend topics apply                  # on your own Kafka: create the topics,
    aftersend worker --processes 0          # run a worker for each core,
    aftersend simulate --recipients 1000    # write simulated events,
    aftersend kpi                           # show the KPIs

Settings are read from the environment (AFTERSEND_KAFKA_BOOTSTRAP=host:9092),
from .env and from aftersend.toml; docs/reference/settings.md lists them.
`aftersend COMMAND --help` describes a command.

Exit codes: 0 done, 1 failed or not found, 2 wrong usage, 3 invalid settings,
4 Kafka is unusable, 6 crashed, 7 the disk can't be used, 8 the state is missing
or damaged.
"""


def create_app(arguments: Sequence[str]) -> App:
    """Return the command line's app.

    Args:
        arguments: of this call. The help of a command in them is its docstring; the help of all others is their line
            in `COMMANDS`, so that they need not be imported.
    """
    named = {command.name for command in COMMANDS} & set(arguments)
    app = App(
        name="aftersend",
        help=_HELP,
        help_epilogue="" if named else _EPILOGUE,
        help_format="markdown",
        version=_version,
        exit_on_error=False,
        print_error=False,
        result_action="return_value",
        suppress_keyboard_interrupt=False,
    )
    for flag in ("--help", "--version"):
        app[flag].show = False
    for command in COMMANDS:
        summary = None if command.name in named else command.summary
        app.command(command.path, name=command.name, group=command.group, help=summary)
    return app


def _version() -> str:
    from importlib.metadata import version

    return version("aftersend")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return the process's exit code."""
    try:
        return _run(sys.argv[1:] if arguments is None else arguments)
    except CycloptsError as error:
        code = _fail(" ".join(str(error).split()), EXIT_USAGE)
    except AftersendError as error:
        code = _fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        code = EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader (`| head`) has closed the pipe; flushing at exit must not fail.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = EXIT_OK
    except Exception as error:  # noqa: BLE001 - the last handler before the interpreter's traceback
        code = _crash(error)
    return code


def _run(arguments: Sequence[str]) -> int:
    names = [command.name for command in COMMANDS]
    if arguments and not arguments[0].startswith("-") and arguments[0] not in names:
        raise UsageError(f"there is no command {arguments[0]!r}{_meant(arguments[0], names)}")
    result = create_app(arguments)(list(arguments))
    sys.stdout.flush()
    return result if isinstance(result, int) else EXIT_OK


def _meant(name: str, names: list[str]) -> str:
    """Return a suggestion; cyclopts would import all commands for one."""
    close = difflib.get_close_matches(name, names, n=1)
    return f"; did you mean `aftersend {close[0]}`?" if close else "; `aftersend --help` lists them"


def _fail(message: str, exit_code: int) -> int:
    from aftersend.cli.render.output import say

    say(f"error: {message}", error=True)
    return exit_code


def _crash(error: Exception) -> int:
    """Log an unexpected error with its traceback."""
    from aftersend.processes.logs import crashed
    from aftersend.sandbox.embedded.errors import EmbeddedUnavailableError

    if isinstance(error, EmbeddedUnavailableError):
        return _fail(str(error), EXIT_FAILED)
    crashed(error)
    return EXIT_CRASHED


if __name__ == "__main__":
    sys.exit(main())
