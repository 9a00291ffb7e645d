"""`make simulate`: the planted bugs, every order of the small stories, and then random stories, in MINUTES.

Each part has a share of the time, and what one leaves the next ones have. docs/simulator.md gets the table of a part as
soon as all of it was done; one that needs more time is told as far as it came. SEED=… begins elsewhere. REPLAY=… (with
STORY=small or large) runs one story again, from the choices that a broken run prints, and tells every step. Exits with
1 where a promise is broken, or where a planted bug is not found.
"""

from __future__ import annotations

import os
import sys
import time
from itertools import count, takewhile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from capacity.pages import replace_between, table
from tests.simulator.choices import Choices
from tests.simulator.exhaustive import CASES, Explorer
from tests.simulator.planted import PLANTED
from tests.simulator.runs import Run, Search, run, simplest, until_broken
from tests.simulator.story import Scale

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

STORIES = {
    "small": Scale(),
    "large": Scale(messages=12, consumers=4, folds=3, readers=2, faults=12),
}
PAGE = Path(__file__).parents[2] / "docs" / "simulator.md"
_ORDERS_MAX = 1_000_000
_FAULTS_MAX = {CASES[0].name: 1}
"""Once, everything goes wrong at every call: with three actors, in a minute."""
_RUNS_PLANTED_MAX = 5_000


class Part(NamedTuple):
    """What a part came to."""

    table: str
    is_whole: bool = True
    """False if its time was over first."""
    is_good: bool = True


def main() -> int:
    if choices := os.environ.get("REPLAY"):
        return _replayed([int(each) for each in choices.split(",")])
    seconds = 60 * float(os.environ.get("MINUTES", "10"))
    begun = time.monotonic()
    for name, (part, share) in PARTS.items():
        done = part(begun + share * seconds)
        print(done.table, flush=True)
        if not done.is_good:
            return 1
        if done.is_whole:
            replace_between(PAGE, name, done.table)
        else:
            print("(as far as its time went: more MINUTES do the rest)", flush=True)
    return 0


def _planted(deadline: float) -> Part:
    rows = []
    small = STORIES["small"]
    for bug in PLANTED:
        search = until_broken(_seeds(0, deadline, _RUNS_PLANTED_MAX), small, bug.plant)
        if not search.broken and _is_over(deadline):
            break
        least = f"{simplest(search.broken, small, bug.plant).steps}" if search.broken else ""
        runs = f"{search.runs:,}" if search.broken else "not found"
        rows.append([bug.name, runs, f"{search.steps:,}", least])
    heads = ("planted bug", "runs until it is found", "steps", "steps of its simplest run")
    return Part(table(heads, rows), len(rows) == len(PLANTED), all(row[3] for row in rows))


def _orders(deadline: float) -> Part:
    rows = []
    searches = [(case, n) for case in CASES for n in range(_FAULTS_MAX.get(case.name, 0) + 1)]
    for case, faults in searches:
        begun = time.monotonic()
        explorer = Explorer(case, faults)
        search = explorer.search(_ORDERS_MAX, lambda: not _is_over(deadline))
        if search.broken:
            _tell(search.broken)
            return Part("", is_good=False)
        if not explorer.is_done:
            break
        rows.append([f"{case.name}, {faults} faults", *_figures(search, begun)])
    heads = ("every order of", "orders that differ", "steps", "seconds")
    return Part(table(heads, rows), len(rows) == len(searches))


def _random(deadline: float) -> Part:
    rows = []
    first = int(os.environ.get("SEED", "0"))
    for number, (name, scale) in enumerate(STORIES.items()):
        begun = time.monotonic()
        share = (deadline - begun) / (len(STORIES) - number)
        search = until_broken(_seeds(first, begun + share), scale)
        if search.broken:
            _tell(simplest(search.broken, scale), name)
            return Part("", is_good=False)
        rows.append([f"{name}, {_words(scale)}", *_figures(search, begun)])
    return Part(table(("random stories", "runs", "steps", "seconds"), rows))


PARTS: dict[str, tuple[Callable[[float], Part], float]] = {
    "simulator-planted": (_planted, 0.4),
    "simulator-orders": (_orders, 0.7),
    "simulator-random": (_random, 1),
}
"""By the name of its table: what does it until when, and how much of the time is over by then."""


def _seeds(first: int, deadline: float, most: int | None = None) -> Iterator[int]:
    seeds = count(first) if most is None else range(first, first + most)
    return takewhile(lambda _: not _is_over(deadline), seeds)


def _is_over(deadline: float) -> bool:
    return time.monotonic() > deadline


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
