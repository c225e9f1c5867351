"""A class name says which class is meant without its module: no two classes have the same name."""

import ast
from collections import Counter
from collections.abc import Iterator

from tests.paths import ROOT

#: Duplicates that are still to be renamed. This list only shrinks.
ALLOWED: frozenset[str] = frozenset()


def class_names() -> Iterator[str]:
    for room in ("aftersend", "agents", "schemas", "tables"):
        for path in (ROOT / room).rglob("*.py"):
            yield from (node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ClassDef))


def test_class_names_are_unique() -> None:
    duplicates = {name for name, count in Counter(class_names()).items() if count > 1}

    assert ALLOWED == duplicates
