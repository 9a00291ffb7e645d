"""Runs of stories: one by one, until one is broken, and as simple as that can be had."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from tests.simulator.choices import Choices, shrunk
from tests.simulator.story import Scale, Story

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence


class Run(NamedTuple):
    choices: list[int]
    steps: int
    """Calls made."""
    broken: str
    """The promise that was not kept; empty if all were."""
    told: list[str]
    """Actor, call and fault of each step."""


def run(choices: Choices, scale: Scale) -> Run:
    """One story. Whatever the product raises where nothing goes wrong any more breaks a promise too."""
    return told_by(Story(choices, scale), Story.play)


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


def until_broken(seeds: Iterable[int], scale: Scale) -> Search:
    """A run for each seed, until a promise is broken."""
    runs = steps = 0
    for seed in seeds:
        each = run(Choices(seed=seed), scale)
        runs, steps = runs + 1, steps + each.steps
        if each.broken:
            return Search(runs, steps, each)
    return Search(runs, steps, None)


def simplest(broken: Run, scale: Scale) -> Run:
    """A run with fewer and smaller choices that is broken as well."""

    def fails(choices: Sequence[int]) -> bool:
        return bool(run(Choices(choices), scale).broken)

    return run(Choices(shrunk(broken.choices, fails)), scale)


@contextmanager
def _quiet() -> Iterator[None]:
    """What the product says of faults is of no interest here."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)
