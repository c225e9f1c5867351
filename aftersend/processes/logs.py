"""Logging, set up once for a process: for people on a terminal, else one JSON object a line, always on stderr."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Mapping, MutableMapping
from datetime import UTC, datetime
from typing import Any, Final, Literal, TextIO

import orjson
import structlog
from structlog.typing import Processor

Form = Literal["auto", "json", "console"]

#: Our packages log at the level that was asked for, everybody else's libraries from warnings on.
OWN: Final = ("aftersend",)


def configure(
    level: str,
    form: Form = "auto",
    *,
    stream: TextIO | None = None,
    libraries: int = logging.WARNING,
    fields: Mapping[str, object] | None = None,
) -> None:
    """Send all logging of this process, structlog's and the standard library's, to one handler.

    Args:
        level: from which on our own lines are shown: `debug`, `info`, `warning`, `error`.
        form: `console` for people, `json` for machines, `auto`: by whether the stream is a terminal.
        stream: where to; None: standard error.
        libraries: from which level on the lines of libraries are shown.
        fields: shown with every line.
    """
    stream = stream or sys.stderr
    console = form == "console" or (form == "auto" and stream.isatty())
    number = logging.getLevelNamesMapping()[level.upper()]
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        _local_time if console else _utc_time,
        _Fields(fields or {}),
    ]
    handler = logging.StreamHandler(stream)
    handler.addFilter(_no_small_talk)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_renderers(console=console, colors=stream.isatty()),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(libraries)
    for name in OWN:
        logging.getLogger(name).setLevel(number)
    logging.captureWarnings(capture=True)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )


def quiet() -> None:
    """Show nothing but our own warnings: for commands, whose errors are told in one line.

    A Kafka client logs each broker that it can't reach; the command that gives up says so itself.
    """
    configure("warning", "console", libraries=logging.CRITICAL)


def crashed(error: BaseException) -> None:
    """Log an error that nobody expected, with its traceback."""
    if not structlog.is_configured():
        quiet()
    structlog.get_logger("aftersend.processes.logs").critical("crashed", exc_info=error)


def _no_small_talk(record: logging.LogRecord) -> bool:
    """Drop what Faust's services say of their own starting and stopping: ours log under our packages' names."""
    small = record.levelno < logging.WARNING and isinstance(record.msg, str)
    return not (small and record.name.partition(".")[0] in OWN)


class _Fields:
    """Adds the same fields to every line."""

    def __init__(self, fields: Mapping[str, object]) -> None:
        self._fields = dict(fields)

    def __call__(self, _logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event.update(self._fields)
        return event


def _renderers(*, console: bool, colors: bool) -> list[Processor]:
    if console:
        return [structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback)]
    return [_exception, _json]


def _exception(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Turn an exception into its traceback's text."""
    given = event.pop("exc_info", None)
    if given is True:
        given = sys.exc_info()
    if isinstance(given, BaseException):
        given = (type(given), given, given.__traceback__)
    if given and given[0] is not None:
        event["exception"] = "".join(traceback.format_exception(*given)).rstrip()
    return event


def _json(_logger: object, _method: str, event: Mapping[str, Any]) -> str:
    first = {name: event[name] for name in ("timestamp", "level", "event") if name in event}
    return orjson.dumps(first | dict(event), default=repr, option=orjson.OPT_NON_STR_KEYS).decode()


def _utc_time(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    event["timestamp"] = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return event


def _local_time(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    event["timestamp"] = datetime.now(UTC).astimezone().isoformat(sep=" ", timespec="milliseconds")
    return event
