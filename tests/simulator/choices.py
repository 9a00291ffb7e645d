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
    choices: Sequence[int], fails: Callable[[Sequence[int]], bool], tries_max: int = 1_000
) -> list[int]:
    """A list as simple as could be found that still fails: pieces left out, then numbers made smaller, and again.

    `fails` is asked once for a list, and never for one that is not simpler than the last that failed. Zeros at the end
    say nothing, and are left out.
    """
    best = _without_end(choices)
    tried: set[tuple[int, ...]] = set()

    def is_better(candidate: list[int]) -> bool:
        nonlocal best
        candidate = _without_end(candidate)
        key = tuple(candidate)
        if candidate == best or key in tried or len(tried) == tries_max:
            return False
        tried.add(key)
        if fails(candidate):
            best = candidate
            return True
        return False

    before = None
    while best != before and len(tried) < tries_max:
        before = best
        _leave_out(lambda: best, is_better)
        _make_smaller(lambda: best, is_better)
    return best


def _leave_out(best: Callable[[], list[int]], is_better: Callable[[list[int]], bool]) -> None:
    """Pieces, large ones first; or zeros in their place."""
    size = max(1, len(best()) // 2)
    while size:
        start = 0
        while start < len(best()):
            before, piece, after = _cut(best(), start, size)
            if not (is_better(before + after) or is_better(before + [0] * len(piece) + after)):
                start += size
        size //= 2


def _make_smaller(best: Callable[[], list[int]], is_better: Callable[[list[int]], bool]) -> None:
    place = 0
    while place < len(best()):
        before, (number,), after = _cut(best(), place, 1)
        if number < 2 or not is_better([*before, number // 2, *after]):
            place += 1


def _cut(choices: list[int], start: int, size: int) -> tuple[list[int], list[int], list[int]]:
    return choices[:start], choices[start : start + size], choices[start + size :]


def _without_end(choices: Sequence[int]) -> list[int]:
    kept = list(choices)
    while kept and not kept[-1]:
        kept.pop()
    return kept
