"""Every part of the benchmark still runs."""

from __future__ import annotations

import pytest

from bench.__main__ import PARTS, measure, pages
from chalicelib import wiring

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """The benchmark sets AWS's variables for itself; no other test is to see them, nor its clients."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, "us-east-1")
    yield
    wiring.forget()


@pytest.mark.parametrize("part", PARTS)
def test_part_runs(part):
    """Each part measures a little, and makes its tables of it."""
    found = measure([part], quick=True)
    assert found
    assert all(content.startswith(("|", "```")) for content in pages(found).values())
