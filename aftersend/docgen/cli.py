"""The page of commands, `docs/reference/cli.md`, from the commands' own help."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from aftersend.cli.main import COMMANDS, create_app
from aftersend.docgen.template import fill, table
from aftersend.errors import (
    EXIT_CRASHED,
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_KAFKA,
    EXIT_OK,
    EXIT_SETTINGS,
    EXIT_USAGE,
)

_EXIT_CODES: Final = {
    EXIT_OK: "done; a worker or gateway: stopped by a signal",
    EXIT_FAILED: "the result is negative: drift, unreadable records, nothing found",
    EXIT_USAGE: "wrong usage",
    EXIT_SETTINGS: "a setting is wrong; the message names it",
    EXIT_KAFKA: "Kafka can't be reached, has no transactions, or lacks topics",
    EXIT_CRASHED: "crashed; the log has the traceback",
    EXIT_INTERRUPTED: "interrupted by Ctrl-C",
}


def render() -> str:
    """Return the page."""
    with _called("aftersend"):
        text = create_app([command.name for command in COMMANDS]).generate_docs(output_format="markdown")
    # The heading, the summary and the table of contents are the template's.
    commands = text[re.search(r"^## aftersend ", text, re.MULTILINE).start() :]  # type: ignore[union-attr]
    return fill(
        "cli",
        {
            "overview": table(
                ("command", "what it does"),
                ((f"[`{c.name}`](#aftersend-{c.name})", c.summary) for c in COMMANDS),
            ),
            "exit codes": table(("exit code", "means"), ((str(code), text) for code, text in _EXIT_CODES.items())),
            "commands": re.sub(r" +$", "", commands, flags=re.MULTILINE).strip(),
        },
    )


@contextmanager
def _called(name: str) -> Iterator[None]:
    """Let the process have a name: cyclopts puts it into the usage lines, wrongly if it has blanks (`python -m …`)."""
    before = sys.argv[0]
    sys.argv[0] = name
    try:
        yield
    finally:
        sys.argv[0] = before
