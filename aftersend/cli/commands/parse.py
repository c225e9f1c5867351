"""`aftersend parse`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, BinaryIO, Final

import msgspec
from cyclopts import Parameter

from aftersend.cli.context import command_settings
from aftersend.cli.render.output import say, say_json
from aftersend.config.installation import parsers
from aftersend.errors import EXIT_FAILED, EXIT_OK, AftersendError, UsageError
from aftersend.services.parse import parse_stream
from aftersend.sources.base import Parser
from aftersend.sources.registry import REGISTRY

#: Choices, for the command's help and its errors.
_HELP: Final = f"One of {', '.join(REGISTRY)}; as in the name of the raw topic."


def parse(source: Annotated[str, Parameter(help=_HELP)], file: Path | None = None, /) -> int:
    """Parse a source's raw records into canonical events.

    Prints each event as a line of JSON, as the worker writes it to the events topic. Prints unreadable records to
    standard error with their line and the reason; the worker writes those to the dead letters. The settings of sources
    apply (AFTERSEND_DELIVERY_KEYS, ...). Needs neither Kafka nor Redis.

    For example:

        aftersend parse <source> record.json
        zstdcat /var/log/mta/* | aftersend parse <source> | jq .type

    Exit codes: 0 all records are readable, 1 at least one is not, 2 unknown source.

    Args:
        source: Source of the records.
        file: One record, or one on each line. Default: standard input.
    """
    settings = command_settings()
    if source not in REGISTRY:
        raise UsageError(f"there is no source {source!r}; there are: {', '.join(sorted(REGISTRY))}")
    parser = parsers(settings)[source]
    if file is None or str(file) == "-":
        return _print(parser, sys.stdin.buffer, "standard input")
    try:
        with file.open("rb") as stream:
            return _print(parser, stream, str(file))
    except OSError as error:
        raise AftersendError(f"{file} can't be read: {error.strerror}") from error


def _print(parser: Parser, stream: BinaryIO, name: str) -> int:
    encode = msgspec.json.Encoder().encode
    result = EXIT_OK
    for record in parse_stream(parser, stream):
        for event in record.events:
            say_json(encode(event))
        if record.error:
            result = EXIT_FAILED
            where = f"{name}:{record.line}" if record.line else name
            say(f"{where}: {record.error}", error=True)
    return result
