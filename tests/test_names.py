"""A test's name states a rule: a failing line of a report is to say what does not hold."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
WORDS_MIN = 2
FILES = sorted(TESTS.rglob("*.py"))


def _names_in(path: Path) -> list[str]:
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    functions = (node for node in nodes if isinstance(node, ast.FunctionDef))
    return [node.name for node in functions if node.name.startswith("test_")]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(TESTS).as_posix())
def test_a_name_has_more_than_one_word(path):
    """`test_find` says what is looked at, and not what must hold."""
    short = [name for name in _names_in(path) if len(name.split("_")) <= WORDS_MIN]
    assert not short
