"""A run's choices: drawn by a seed, or given, and always written down."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Choices:
    """Numbers that decide everything. 0 is always the plainest: go on as before, nothing happens."""

    def __init__(self, given: Sequence[int] = (), seed: int | None = None) -> None:
        self._given = given
        self._random = None if seed is None else random.Random(seed)
        self.made: list[int] = []

    def pick(self, options: int, other: float = 0.5) -> int:
        """One of `options`: with the probability `other`, another than 0. Beyond what was given: 0, without a seed."""
        place = len(self.made)
        if place < len(self._given):
            choice = min(self._given[place], options - 1)
        elif self._random and options > 1 and self._random.random() < other:
            choice = self._random.randrange(1, options)
        else:
            choice = 0
        self.made.append(choice)
        return choice


def shrunk(
    choices: Sequence[int], fails: Callable[[Sequence[int]], bool], tries_max: int = 400
) -> list[int]:
    """A list as simple as could be found that still fails: pieces left out, then numbers made smaller.

    Zeros at the end say nothing, and are left out.
    """
    best = _without_end(choices)
    tries = 0

    def is_better(candidate: list[int]) -> bool:
        nonlocal best, tries
        candidate = _without_end(candidate)
        if tries >= tries_max or candidate == best:
            return False
        tries += 1
        if fails(candidate):
            best = candidate
            return True
        return False

    size = max(1, len(best) // 2)
    while size and tries < tries_max:
        start = 0
        while start < len(best):
            ways = (
                best[:start] + best[start + size :],
                best[:start] + [0] * len(best[start : start + size]) + best[start + size :],
            )
            if not any(map(is_better, ways)):
                start += size
        size //= 2
    for place in range(len(best)):
        while place < len(best) and best[place] > 1:
            if not is_better([*best[:place], best[place] // 2, *best[place + 1 :]]):
                break
    return best


def _without_end(choices: Sequence[int]) -> list[int]:
    kept = list(choices)
    while kept and not kept[-1]:
        kept.pop()
    return kept
