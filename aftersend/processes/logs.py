"""Logging of a process, on stderr: for people on a terminal, otherwise one JSON object a line.

Whatever strangers wrote into an event's fields or into an exception's message reaches the log printable only
(`aftersend.printable`), and forges no line of its own.
"""

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

from aftersend.printable import printable, printable_json, printable_lines, printable_value

Form = Literal["auto", "json", "console"]

#: Packages that log at the chosen level; all others are libraries.
OWN: Final = ("aftersend",)


def configure(
    level: str,
    form: Form = "auto",
    *,
    stream: TextIO | None = None,
    libraries: int = logging.WARNING,
    fields: Mapping[str, object] | None = None,
) -> None:
    """Send all logging of this process, by structlog and by the standard library, to one handler.

    Args:
        level: lowest level of our own lines: `debug`, `info`, `warning`, `error`.
        form: `console` for people, `json` for machines; `auto`: `console` if the stream is a terminal.
        stream: None: standard error.
        libraries: lowest level of libraries' lines.
        fields: added to every line.
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
    root = logging.getLogger()
    root.handlers = [_handler(stream, shared, console=console)]
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


def _handler(stream: TextIO, shared: list[Processor], *, console: bool) -> logging.Handler:
    handler = logging.StreamHandler(stream)
    handler.addFilter(_drop_service_chatter)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_renderers(console=console, colors=stream.isatty()),
            ],
        )
    )
    return handler


def quiet() -> None:
    """Log only our own warnings, for commands whose errors are one line.

    A Kafka client logs each broker that it can't reach; the command prints one error for all.
    """
    configure("warning", "console", libraries=logging.CRITICAL)


def crashed(error: BaseException) -> None:
    """Log an unexpected error with its traceback."""
    if not structlog.is_configured():
        quiet()
    structlog.get_logger("aftersend.processes.logs").critical("crashed", exc_info=error)


def _drop_service_chatter(record: logging.LogRecord) -> bool:
    """Drop the lines of Faust's base classes on starting and stopping, which have our packages' logger names."""
    chatter = record.levelno < logging.WARNING and isinstance(record.msg, str)
    return not (chatter and record.name.partition(".")[0] in OWN)


class _Fields:
    """Processor that adds the same fields to every line."""

    def __init__(self, fields: Mapping[str, object]) -> None:
        self._fields = dict(fields)

    def __call__(self, _logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event.update(self._fields)
        return event


def _renderers(*, console: bool, colors: bool) -> list[Processor]:
    if console:
        # The traceback is text by then, and so are all fields.
        return [_exception, _printable, structlog.dev.ConsoleRenderer(colors=colors)]
    return [_exception, _json]


def _exception(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace an exception by the text of its traceback."""
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
    ordered = first | dict(event)
    try:
        encoded = _encode(ordered)
    except TypeError:  # half a surrogate pair, which UTF-8 can't hold
        encoded = _encode(printable_value(ordered))
    return printable_json(encoded).decode()


def _encode(event: Any) -> bytes:
    return orjson.dumps(event, default=repr, option=orjson.OPT_NON_STR_KEYS)


def _printable(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Make all fields printable; a traceback is indented, so that no line of it looks like one of the log."""
    traceback_of = event.pop("exception", None)
    made = {str(name): _shown(value) for name, value in event.items()}
    if traceback_of is not None:
        made["exception"] = "\n".join(f"  {line}" for line in printable_lines(str(traceback_of)).split("\n"))
    return made


def _shown(value: Any) -> Any:
    made = printable_value(value)
    return made if isinstance(made, (str, int, float, bool, list, dict, type(None))) else printable(repr(made))


def _utc_time(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    event["timestamp"] = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return event


def _local_time(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    event["timestamp"] = datetime.now(UTC).astimezone().isoformat(sep=" ", timespec="milliseconds")
    return event
