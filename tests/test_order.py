"""In which order the files of tests begin."""

from __future__ import annotations

from pathlib import Path

from tests.conftest import LONGEST_FIRST

PROJECT = Path(__file__).parents[1]


def test_the_longest_are_there():
    """Each file that is to begin first is one, and stands once: one that was renamed would begin anywhere."""
    assert [name for name in LONGEST_FIRST if not (PROJECT / "tests" / name).is_file()] == []
    assert len(set(LONGEST_FIRST)) == len(LONGEST_FIRST)


def test_make_keeps_the_order():
    """pytest-xdist begins with the files of most tests, unless it is told not to."""
    assert "--dist loadfile --no-loadscope-reorder" in (PROJECT / "Makefile").read_text()
