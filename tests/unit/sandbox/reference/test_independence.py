"""A second opinion is worth nothing if it asks the first."""

import ast
from pathlib import Path

import pytest

import aftersend.sandbox.reference

FILES = sorted(Path(aftersend.sandbox.reference.__file__).parent.glob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=[path.name for path in FILES])
def test_the_reference_imports_neither_rules_nor_tables(path: Path) -> None:
    tree = ast.parse(path.read_text())
    imported = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    imported |= {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    assert set() == {name for name in imported if name.split(".")[0] in {"rules", "tables", "publish", "agents"}}
