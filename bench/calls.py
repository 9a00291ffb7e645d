"""Counts calls and allocated objects for each stage of storing a span. It measures no times."""

from __future__ import annotations

import gc
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from bench.processing import SPANS, stages_of_consume
from chalicelib.gc_pause import gc_paused

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.store.items import Item


class Calls(NamedTuple):
    """Counts for one span."""

    of_c: float
    """Calls of C functions from Python code; calls inside `map` and the like are not counted."""
    of_python: float
    objects: float
    """Allocated blocks that the stage adds."""


class _Discarding:
    """An ItemStore that keeps nothing, so that few of the counted calls are its own."""

    def put_batch(self, table: str, items: Any) -> None: ...
    def transact(self, actions: Any) -> None: ...
    def query(self, *_: Any, **__: Any) -> list[Item]:
        return []


def measure(spans: int = SPANS) -> dict[str, Calls]:
    """Return the counts by stage of consume, at 512 spans a request."""
    stages = stages_of_consume(spans, _Discarding)  # type: ignore[arg-type]  # as much as consume calls
    return {name: _calls(work, spans) for name, work in stages.items()}


def _calls(work: Callable[[], Any], spans: int) -> Calls:
    work()  # fills the caches of names, hashes and peers
    counts = {"c_call": 0, "call": 0}

    def count(_: Any, event: str, __: Any) -> None:
        if event in counts:
            counts[event] += 1

    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
    gc.collect()
    with gc_paused():
        before = sys.getallocatedblocks()
        kept = work()
        objects = sys.getallocatedblocks() - before
    del kept
    return Calls(counts["c_call"] / spans, counts["call"] / spans, objects / spans)
