"""Timing: CPU of this process, scaled by a reference loop that is always the same work; medians.

The speed of a shared machine varies by a factor of two. So a time is measured as a ratio to the loop around it, and
told as on a machine that takes REFERENCE_SECONDS for the loop. The loop slices, hashes, appends and sorts as Clew does:
a loop that only adds numbers slows down more than Clew when other programs fill the caches.
"""

from __future__ import annotations

import gc
import statistics
import time
from typing import TYPE_CHECKING, Any

from chalicelib.gc_pause import gc_paused

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

RUNS = 9
REFERENCE_SECONDS = 0.0165
"""CPU seconds of the reference loop on the machine of the tables, when nothing else runs on it."""
_LOOP_TURNS = 30_000
_BYTES = bytes(range(256)) * 40


def cpu_seconds(work: Callable[[], Any], runs: int = RUNS) -> float:
    """Return the user and system time of one call: the median of several runs."""
    return statistics.median(_once(work) for _ in range(runs))


def cpu_seconds_of_all(works: Sequence[Callable[[], Any]], runs: int = RUNS) -> list[float]:
    """Return the median time of each call, measured in turns: a slow second of the machine is slow for all of them."""
    figures = [[_once(work) for work in works] for _ in range(runs)]
    return [statistics.median(of_work) for of_work in zip(*figures, strict=True)]


def _once(work: Callable[[], Any]) -> float:
    gc.collect()
    before = _seconds(_reference_loop)
    select_entries = _seconds(work)
    around = (before + _seconds(_reference_loop)) / 2
    return select_entries * REFERENCE_SECONDS / around


def _seconds(work: Callable[[], Any]) -> float:
    before = time.process_time()
    work()
    return time.process_time() - before


def reference_loop_seconds() -> float:
    """Return the CPU seconds of the loop now: the speed of the machine."""
    return statistics.median(_seconds(_reference_loop) for _ in range(RUNS))


def _reference_loop() -> None:
    found: dict[tuple[bytes, int], list[tuple[int, bytes]]] = {}
    with gc_paused():
        for i in range(_LOOP_TURNS):
            key = _BYTES[i % 9_000 : i % 9_000 + 16], i % 8
            found.setdefault(key, []).append((i, _BYTES[i % 5_000 : i % 5_000 + 40]))
        sorted(found)
