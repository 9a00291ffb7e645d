"""docs/reliability.md's table of faults: each by its number, with a promise, tests that are there, and a state."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

PROJECT = Path(__file__).parents[2]
FAULTS = 36
STATES = {"held", "held here", "rule"}
"""Tested as it is deployed; tested on emulators of what AWS does, or on a laptop; a rule for releases, not for code."""


class Row(NamedTuple):
    number: int
    fault: str
    promise: str
    tests: list[str]
    state: str


def rows() -> list[Row]:
    page = (PROJECT / "docs" / "reliability.md").read_text(encoding="utf-8")
    table = page.partition("\n## Thirty-six faults\n")[2].partition("\n## ")[0]
    found = re.findall(r"^\| (\d+) \| (.+?) \| (.+?) \| (.+?) \| (.+?) \|$", table, re.MULTILINE)
    return [
        Row(int(number), fault, promise, re.findall(r"`([^`]+)`", tests), state)
        for number, fault, promise, tests, state in found
    ]


@cache
def names_in(path: str) -> set[str]:
    """The tests of a module: `name`, and `Class::name` of those in classes."""
    tree = ast.parse((PROJECT / "tests" / path).read_text(encoding="utf-8"))
    found = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.ClassDef):
            methods = {each.name for each in node.body if isinstance(each, ast.FunctionDef)}
            found |= {f"{node.name}::{name}" for name in methods}
    return {name for name in found if name.rpartition("::")[2].startswith("test_")}


def test_every_fault_once():
    """Every fault has one row, in the order of their numbers."""
    assert [row.number for row in rows()] == list(range(1, FAULTS + 1))


@pytest.mark.parametrize("row", rows(), ids=lambda row: str(row.number))
def test_every_fault_has_a_promise_a_state_and_tests(row):
    """A fault has a promise, a state of those there are, and tests that exist, each by its module and name."""
    assert row.promise
    assert row.state in STATES
    assert row.tests
    for test in row.tests:
        path, _, name = test.partition("::")
        assert name in names_in(path), test
