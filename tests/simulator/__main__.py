"""`make simulate`: the planted bugs, every order of the small stories, and then random stories for MINUTES.

SEED=… begins elsewhere. REPLAY=… (with STORY=small or large) runs one story again, from the choices that a broken run
prints, and tells every step. Exits with 1 where a promise is broken, or where a planted bug is not found.
"""

from __future__ import annotations

import os
import sys
import time
from itertools import count
from pathlib import Path

import pytest

from bench.report import replace_between, table
from tests.simulator.choices import Choices
from tests.simulator.exhaustive import CASES, Explorer
from tests.simulator.planted import PLANTED
from tests.simulator.runs import Run, Search, run, simplest, until_broken
from tests.simulator.story import Scale

STORIES = {
    "small": Scale(),
    "large": Scale(messages=12, consumers=4, folds=3, readers=2, faults=12),
}
PAGE = Path(__file__).parents[2] / "docs" / "simulator.md"
_ORDERS_MAX = 1_000_000
_FAULTS_MAX = {CASES[0].name: 1}
"""Once, everything goes wrong at every call: with three actors, in a minute."""
_RUNS_PLANTED_MAX = 5_000


def main() -> int:
    if choices := os.environ.get("REPLAY"):
        return _replayed([int(each) for each in choices.split(",")])
    seed = int(os.environ.get("SEED", "0"))
    tables = {"simulator-planted": _planted_table()}
    print(tables["simulator-planted"], flush=True)
    broken, tables["simulator-orders"] = _orders()
    print(tables["simulator-orders"], flush=True)
    if not broken:
        broken, tables["simulator-random"] = _random(seed)
        print(tables["simulator-random"])
    if broken or "not found" in tables["simulator-planted"]:
        return 1
    for name, content in tables.items():
        replace_between(PAGE, name, content)
    return 0


def _planted_table() -> str:
    rows = []
    for bug in PLANTED:
        with pytest.MonkeyPatch.context() as patch:
            bug.plant(patch)
            search = until_broken(range(_RUNS_PLANTED_MAX), STORIES["small"])
            least = f"{simplest(search.broken, STORIES['small']).steps}" if search.broken else ""
        runs = f"{search.runs:,}" if search.broken else "not found"
        rows.append([bug.name, runs, f"{search.steps:,}", least])
    return table(
        ("planted bug", "runs until it is found", "steps", "steps of its simplest run"), rows
    )


def _orders() -> tuple[Run | None, str]:
    rows = []
    for case in CASES:
        for faults in range(_FAULTS_MAX.get(case.name, 0) + 1):
            begun = time.monotonic()
            search = Explorer(case, faults).search(_ORDERS_MAX)
            if search.broken:
                _tell(search.broken)
                return search.broken, ""
            rows.append([f"{case.name}, {faults} faults", *_figures(search, begun)])
    return None, table(("every order of", "orders that differ", "steps", "seconds"), rows)


def _random(seed: int) -> tuple[Run | None, str]:
    seconds = float(os.environ.get("MINUTES", "10")) * 60 / len(STORIES)
    rows = []
    for name, scale in STORIES.items():
        begun = time.monotonic()
        runs = steps = 0
        for seeds in (range(first, first + 50) for first in count(seed, 50)):
            search = until_broken(seeds, scale)
            runs, steps = runs + search.runs, steps + search.steps
            if search.broken:
                _tell(simplest(search.broken, scale), name)
                return search.broken, ""
            if time.monotonic() - begun > seconds:
                break
        rows.append([f"{name}, {_words(scale)}", *_figures(Search(runs, steps, None), begun)])
    return None, table(("random stories", "runs", "steps", "seconds"), rows)


def _figures(search: Search, begun: float) -> list[str]:
    return [f"{search.runs:,}", f"{search.steps:,}", f"{time.monotonic() - begun:.0f}"]


def _words(scale: Scale) -> str:
    return ", ".join(f"{number} {name}" for name, number in scale._asdict().items())


def _tell(broken: Run, story: str = "") -> None:
    print(*broken.told, "", broken.broken, sep="\n")
    if story:
        choices = ",".join(map(str, broken.choices))
        print(f"\nAgain: make simulate STORY={story} REPLAY={choices}")


def _replayed(choices: list[int]) -> int:
    story = run(Choices(choices), STORIES[os.environ.get("STORY", "small")])
    print(*story.told, "", story.broken or "every promise was kept", sep="\n")
    return bool(story.broken)


if __name__ == "__main__":
    if os.environ.get("PYTHONHASHSEED") != "0":
        # The order of a set must be the same in the run that finds something and in the one that is to show it.
        os.execve(
            sys.executable,
            [sys.executable, "-m", "tests.simulator"],
            {**os.environ, "PYTHONHASHSEED": "0"},
        )
    sys.exit(main())
