"""The language of docstrings: whole sentences, which say what goes in and out without the name above them."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

PROJECT = Path(__file__).parents[1]
FOLDERS = ("chalicelib", "infra", "local", "capacity", "bench")
SOURCES = sorted(
    path
    for path in [
        PROJECT / "app.py",
        *(each for f in FOLDERS for each in (PROJECT / f).rglob("*.py")),
    ]
    if not path.stem.endswith("_pb2")
)
FRAGMENTS = {"of", "as", "those", "likewise", "its", "by", "from", "whose", "to", "before", "after"}
"""A docstring that begins with one of these continues the name above it, and has no subject of its own."""


def docstrings_in(tree: ast.AST) -> Iterator[str]:
    """The docstrings of modules, classes and functions, and those under an assignment."""
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        for each in body if isinstance(body, list) else ():
            match each:
                case ast.Expr(value=ast.Constant(value=str(text))):
                    yield text.strip()


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(PROJECT).as_posix())
def test_docstrings_have_a_subject(path):
    """No docstring is a fragment that continues the name above it, such as "Of a half-edge" under `minute`."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    words = [(text.split(maxsplit=1) or [""])[0] for text in docstrings_in(tree)]
    assert not [word for word in words if word.lower() in FRAGMENTS]
