"""How things are timed: CPU of the process itself, medians, beside a loop that is always the same work."""

from __future__ import annotations

import gc
import statistics
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

RUNS = 5


def cpu_seconds(work: Callable[[], Any], runs: int = RUNS) -> float:
    """User and system time of one call, the median of several."""
    return statistics.median(_once(work) for _ in range(runs))


def cpu_seconds_of_all(works: Sequence[Callable[[], Any]], runs: int = RUNS) -> list[float]:
    """The same of each, in turns: a machine that is slow for a second is slow for all of them."""
    figures = [[_once(work) for work in works] for _ in range(runs)]
    return [statistics.median(of_work) for of_work in zip(*figures, strict=True)]


def _once(work: Callable[[], Any]) -> float:
    gc.collect()
    before = time.process_time()
    work()
    return time.process_time() - before


def reference_loop() -> None:
    """Always the same work: what this machine makes of it tells how fast it is today."""
    total = 0
    for i in range(1_000_000):
        total += i % 7
