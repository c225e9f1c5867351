"""Output of commands: whatever strangers wrote, and however it is printed."""

from __future__ import annotations

import ast
import io
from collections.abc import Callable

import pytest
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.text import Text  # noqa: TID251 - what a command should not use

from aftersend.cli.render.output import Line, PrintableConsole, print_json, say, table
from tests.paths import ROOT

HOSTILE = "\x1b[2J\x1b]8;;http://evil.example\x07\u202e\u200b\x9b\0\x7f\r[link=http://evil.example]x[/link]\nforged"


def _table(text: str) -> RenderableType:
    made = table("", "heading")
    made.add_row(text)
    return made


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize(
    "make",
    [
        str,
        Line,
        Text,
        _table,
        lambda text: Group(text, Line("a").append(text, style="bold")),
        lambda text: Panel(Text(text), title=text),
    ],
)
def test_nothing_hostile_reaches_a_terminal(make: Callable[[str], RenderableType], terminal: bool) -> None:
    out = io.StringIO()
    PrintableConsole(file=out, width=200, force_terminal=terminal, color_system=None).print(make(HOSTILE))

    assert [] == [c for c in out.getvalue() if not c.isprintable() and c != "\n"]
    assert "[link=" in out.getvalue()


@pytest.mark.parametrize("make", [Line, _table, lambda text: Line("a").append(text)])
def test_a_line_feed_in_a_field_forges_no_line(make: Callable[[str], RenderableType]) -> None:
    out = io.StringIO()
    PrintableConsole(file=out, width=200).print(make(HOSTILE))

    assert not [line for line in out.getvalue().splitlines() if line.startswith("forged")]


def test_lines_and_json_are_printable(capsys: pytest.CaptureFixture[str]) -> None:
    say(HOSTILE)
    say(HOSTILE, error=True)
    print_json({HOSTILE: HOSTILE})

    shown = capsys.readouterr()
    assert [] == [c for c in shown.out + shown.err if not c.isprintable() and c != "\n"]


def test_commands_print_by_this_module_only() -> None:
    """The linter forbids `print` there; these are the other ways."""
    found = []
    for path in (ROOT / "aftersend" / "cli").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and node.attr in {"write", "writelines"}:
                written = ast.unparse(node)
                if "sys.std" in written:
                    found.append((path.name, written))

    assert [("dead_letters.py", "sys.stdout.buffer.write")] == found, "which refuses terminals"
