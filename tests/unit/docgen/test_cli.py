from aftersend.cli.main import COMMANDS
from aftersend.docgen.cli import render

PAGE = render()


def test_every_command_has_its_section() -> None:
    assert [] == [command.name for command in COMMANDS if f"\n## aftersend {command.name}\n" not in PAGE]


def test_every_exit_code_is_explained() -> None:
    assert [f"| {code} |" for code in (0, 1, 2, 3, 4, 6, 130)] == [
        line[: line.index("|", 1) + 1] for line in PAGE.splitlines() if line.startswith("| ") and line[2].isdigit()
    ]
