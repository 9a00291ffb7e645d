"""`make bench-compiled` measures storing with modules that mypyc has compiled. It needs a C compiler.

mypyc makes C of the modules in which storing spends its time, as they are; so the difference is what the interpreter
takes, and the rest is what the work takes: objects that are made, and functions of C that are called. A minute and a
half.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.processing import SPANS, consume_stages
from bench.timing import RUNS
from capacity.pages import table

PROJECT = Path(__file__).parents[1]
MODULES = (
    *("model/attribute", "model/batch", "model/beginning", "model/halves", "model/measure"),
    *("model/peers", "model/statistics", "model/wire", "store/chunk", "consume/half_edges"),
    *("store/packed", "store/search_block", "store/search_row"),
)
_TURNS = 3
_BUILD = """
import sys
from mypyc.build import mypycify
from setuptools import setup
options = ["--ignore-missing-imports", "--follow-imports=silent", "--disable-error-code=valid-type"]
modules, sys.argv = sys.argv[1:], ["setup.py", "--quiet", "build_ext", "--inplace"]
setup(name="compiled", packages=[], ext_modules=mypycify([*options, *modules], opt_level="3"))
"""


def compile_into(folder: Path, modules: tuple[str, ...] = MODULES) -> None:
    """Copy Clew into an empty folder and compile these modules there. Raises CalledProcessError."""
    for name in ("bench", "capacity", "chalicelib", "infra", "local"):
        shutil.copytree(
            PROJECT / name, folder / name, ignore=shutil.ignore_patterns("static", "results")
        )
    paths = [f"chalicelib/{name}.py" for name in modules]
    for path in paths:
        # A compiled class evaluates the types of its fields, so their imports must run.
        source = (folder / path).read_text()
        (folder / path).write_text(source.replace("\nif TYPE_CHECKING:", "\nif True:"))
    subprocess.run(
        [sys.executable, "-c", _BUILD, *paths], cwd=folder, check=True, capture_output=True
    )


def stages_in(folder: Path, runs: int, spans: int) -> dict[str, float]:
    """Return microseconds a span by stage, measured in a process of its own with that folder's modules."""
    command = [sys.executable, "-m", "bench.compiled", "--stages", str(runs), str(spans)]
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    done = subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def measure(folder: Path, runs: int, spans: int, turns: int) -> dict[str, tuple[float, float]]:
    """Return microseconds a span, interpreted and compiled, by stage: medians of runs in turns."""
    pairs = [
        (stages_in(PROJECT, runs, spans), stages_in(folder, runs, spans)) for _ in range(turns)
    ]
    return {
        stage: (
            statistics.median(one[stage] for one, _ in pairs),
            statistics.median(other[stage] for _, other in pairs),
        )
        for stage in pairs[0][0]
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.compiled", description=__doc__)
    parser.add_argument("--stages", nargs=2, type=int, help="for the processes that it starts")
    if stages := parser.parse_args().stages:
        print(json.dumps(consume_stages(*stages)))
        return
    with tempfile.TemporaryDirectory() as folder:
        compile_into(Path(folder))
        found = measure(Path(folder), RUNS, SPANS, _TURNS)
    head = ("stage of consume", "interpreted µs a span", "compiled", "ratio")
    rows = [
        [stage, f"{one:.1f}", f"{other:.1f}", f"{other / one:.2f}"]
        for stage, (one, other) in found.items()
    ]
    print(table(head, rows))


if __name__ == "__main__":
    main()
