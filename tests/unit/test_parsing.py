"""What parses, such as pytest in the middle of a report, is not disturbed by what is finalised meanwhile."""

import ast
import gc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

SOURCE = Path(ast.__file__).read_text()


@pytest.fixture
def finalised() -> Iterator[list[ast.Module]]:
    """Have something finalised that parses, as tracebacks do, whenever garbage is collected."""
    parsed: list[ast.Module] = []

    def finalise(phase: str, _info: dict[str, Any]) -> None:
        if phase == "stop":
            parsed.append(ast.parse(SOURCE[:0]))

    gc.callbacks.append(finalise)
    yield parsed
    gc.callbacks.remove(finalise)


def test_parsing_goes_on_where_garbage_is_finalised_that_parses_too(finalised: list[ast.Module]) -> None:
    gc.collect()
    assert finalised, "it is called"
    assert SOURCE.count("\nclass ") == sum(isinstance(node, ast.ClassDef) for node in ast.parse(SOURCE).body)
    assert gc.isenabled()
