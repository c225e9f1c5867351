"""Confirmation of commands that write."""

from __future__ import annotations

import sys

from aftersend.cli.render.output import say
from aftersend.errors import UsageError


def require_confirmable(*, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Make sure that a command that writes can be confirmed.

    Raises:
        UsageError: if it needs a confirmation, and standard input is not a terminal or the output is for a program.
    """
    if not dry_run and not yes and (as_json or not sys.stdin.isatty()):
        raise UsageError("there is no terminal to confirm on: give --yes, or --dry-run to see what would be written")


def confirm(question: str) -> bool:
    """Ask a question on standard error; return whether the answer is yes."""
    say(f"{question} [y/N] ", error=True, end="")
    return sys.stdin.readline().strip().casefold() in {"y", "yes"}
