"""Every part of the benchmark still runs."""

from __future__ import annotations

import gc
import shutil

import pytest

from bench.__main__ import PARTS, measure, pages
from bench.compiled import compile_into
from bench.compiled import measure as measure_compiled
from chalicelib import wiring

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """The benchmark sets AWS's variables for itself; no other test is to see them, nor its clients."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, "us-east-1")
    yield
    wiring.forget()
    # It has let Python's collector see everything again (tests/conftest.py).
    gc.collect()
    gc.freeze()


@pytest.mark.parametrize("part", PARTS)
def test_part_runs(part):
    """Each part measures a little, and makes its tables of it."""
    found = measure([part], quick=True)
    assert found
    assert all(content.startswith(("|", "```")) for content in pages(found).values())


@pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler")
def test_compiled_modules_answer_as_the_others_do(tmp_path):
    """Compiled modules do what the others do, and each stage of storing is measured in both."""
    compile_into(tmp_path, ("model/wire",))
    assert list((tmp_path / "chalicelib" / "model").glob("wire.*.so"))
    found = measure_compiled(tmp_path, runs=1, spans=1_024, turns=1)
    assert "all of consume" in found
    assert min(min(pair) for pair in found.values()) > 0
