"""Runs of stories: one by one, until one is broken, and as simple as that can be had."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from tests.simulator.choices import Choices, shrunk
from tests.simulator.hub import STEPS_MAX
from tests.simulator.story import Scale, Story, nothing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from tests.simulator.story import Plant


class Run(NamedTuple):
    """What came of one story."""

    choices: list[int]
    steps: int
    """Calls made."""
    broken: str
    """The promise that was not kept; empty if all were."""
    told: list[str]
    """Actor, call and fault of each step."""

    @property
    def kind(self) -> str:
        """What was raised: a story that came to no end is another than one whose promise is broken."""
        return self.broken.partition(":")[0]


def run(choices: Choices, scale: Scale, plant: Plant = nothing, steps_max: int = STEPS_MAX) -> Run:
    """One story. Whatever the product raises where nothing goes wrong any more breaks a promise too."""
    return told_by(Story(choices, scale, plant, steps_max=steps_max), Story.play)


def told_by(story: Story, play: Callable[[Story], None]) -> Run:
    broken = ""
    with _quiet():
        try:
            play(story)
        except Exception as error:
            broken = f"{type(error).__name__}: {error}"
    return Run(story.choices.made, story.hub.steps, broken, story.hub.told)


class Search(NamedTuple):
    """What a search came to."""

    runs: int
    steps: int
    broken: Run | None


def until_broken(seeds: Iterable[int], scale: Scale, plant: Plant = nothing) -> Search:
    """A run for each seed, until a promise is broken."""
    runs = steps = 0
    for seed in seeds:
        each = run(Choices(seed=seed), scale, plant)
        runs, steps = runs + 1, steps + each.steps
        if each.broken:
            return Search(runs, steps, each)
    return Search(runs, steps, None)


def simplest(broken: Run, scale: Scale, plant: Plant = nothing) -> Run:
    """A run with fewer and smaller choices and no more steps, in which the same is raised."""
    best = broken

    def is_as_broken(choices: Sequence[int]) -> bool:
        nonlocal best
        each = run(Choices(choices), scale, plant, steps_max=best.steps)
        if each.kind != broken.kind:
            return False
        best = each._replace(choices=list(choices))
        return True

    shrunk(broken.choices, is_as_broken)
    return best


@contextmanager
def _quiet() -> Iterator[None]:
    """What the product says of faults is of no interest here."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)
