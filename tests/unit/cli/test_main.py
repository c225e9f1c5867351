"""The command line as a whole: its output and exit codes."""

import importlib
import subprocess
import sys
from typing import NoReturn

import pytest
from cyclopts import App

from aftersend.cli import main as cli_main
from aftersend.cli.main import COMMANDS, create_app, main
from aftersend.errors import EXIT_CRASHED, EXIT_FAILED, EXIT_KAFKA, EXIT_USAGE, KafkaUnusableError
from aftersend.sandbox.embedded.errors import EmbeddedUnavailableError


def summary_of(help_text: str) -> str:
    return help_text.strip().splitlines()[0]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_the_overview_shows_the_summary_of_each_command(command: cli_main.Command) -> None:
    module, _, name = command.path.partition(":")
    target = getattr(importlib.import_module(module), name)
    text = target.help if isinstance(target, App) else target.__doc__

    assert summary_of(text) == command.summary


def test_the_overview_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == main(["--help"])

    output = capsys.readouterr().out
    assert [] == [command.name for command in COMMANDS if command.name not in output]
    assert "aftersend demo" in output


@pytest.mark.parametrize("name", [command.name for command in COMMANDS])
def test_every_command_has_a_help_page(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == main([name, "--help"])

    assert f"Usage: aftersend {name}" in capsys.readouterr().out


def test_the_overview_imports_no_command() -> None:
    """The overview is fast: neither Faust nor a client is imported."""
    script = "import sys; from aftersend.cli.main import main; main(['--help']); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert not {"faust", "aiokafka", "redis", "pydantic", "aftersend.processes.worker"} & set(done.stderr.split())


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["topic"], "did you mean `aftersend topics`"),
        (["xyzzy"], "`aftersend --help` lists them"),
        (["kpi", "--from", "disk"], 'Invalid value "disk" for --from'),
        (["worker", "--processes", "-1"], "processes"),
        (["parse"], "requires an argument"),
        (["parse", "nobody"], "there is no source 'nobody'"),
        (["kpi", "--watch"], "--watch needs a delivery"),
        (["kpi", "x", "--watch", "--from", "kafka"], "--watch reads Redis"),
    ],
)
def test_wrong_usage(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert EXIT_USAGE == main(arguments)

    output = capsys.readouterr()
    assert words in " ".join((output.err + output.out).split())


def fail_with(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> int:
    def fail(_: object) -> NoReturn:
        raise error

    monkeypatch.setattr(cli_main, "create_app", fail)
    return main(["version"])


def test_an_expected_error_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert EXIT_KAFKA == fail_with(KafkaUnusableError("no broker"), monkeypatch)

    assert "error: no broker\n" == capsys.readouterr().err


def test_a_missing_embedded_server_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert EXIT_FAILED == fail_with(EmbeddedUnavailableError("no Java"), monkeypatch)

    assert "error: no Java\n" == capsys.readouterr().err


def test_an_unexpected_error_has_a_traceback() -> None:
    script = """
import sys
from aftersend.cli import main
def fail(_): raise ZeroDivisionError("oh")
main.create_app = fail
sys.exit(main.main(["version"]))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)

    assert EXIT_CRASHED == done.returncode
    assert "Traceback" in done.stderr
    assert "ZeroDivisionError: oh" in done.stderr


def test_a_closed_pipe_ends_the_command() -> None:
    """As in `aftersend kpi | head -1`: no error at all."""
    script = """
import sys
from aftersend.cli import main
def fail(_): raise BrokenPipeError
main.create_app = fail
code = main.main(["version"])
print("to nobody")
sys.exit(code)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)

    assert (0, "", "") == (done.returncode, done.stdout, done.stderr)


def test_ctrl_c_ends_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 130 == fail_with(KeyboardInterrupt(), monkeypatch)


def test_create_app_registers_only_the_named_command() -> None:
    app = create_app(["version"])

    assert app["version"].help.startswith("Show the versions")
