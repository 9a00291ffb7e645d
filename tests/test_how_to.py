"""The pages of docs/how-to name files that are there: a recipe that leads nowhere is worse than none."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
PAGES = [*sorted((PROJECT / "docs" / "how-to").glob("*.md")), PROJECT / "CONTRIBUTING.md"]
FOLDERS = ("chalicelib/", "docs/", "tests/", "infra/", "local/", "bench/", ".chalice/")


def named_in(page: Path) -> list[str]:
    """The files and folders that a page names; NAME stands for what the reader makes."""
    named = re.findall(r"`([\w./-]+)`", page.read_text(encoding="utf-8"))
    files = [each for each in named if each.startswith(FOLDERS) or each == "app.py"]
    return [each for each in files if "NAME" not in each]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_named_files_exist(page):
    """Every file that a recipe sends its reader to is there."""
    named = named_in(page)
    assert named
    assert not [each for each in named if not (PROJECT / each).exists()]
