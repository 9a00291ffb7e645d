"""What storing a span consists of: calls, and objects that last until its group is stored. Counts, and no times."""

from __future__ import annotations

import gc
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from bench.processing import SPANS, stages_of_consume
from chalicelib.collector import collector_paused

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.store.items import Item


class Calls(NamedTuple):
    """A span's."""

    of_c: float
    """Of functions that are written in C, from Python; not those that `map` and its like make."""
    of_python: float
    objects: float
    """More than there were before."""


class _Discarding:
    """An ItemStore whose own calls do not count for much: it keeps nothing."""

    def put_batch(self, table: str, items: Any) -> None: ...
    def transact(self, actions: Any) -> None: ...
    def query(self, *_: Any, **__: Any) -> list[Item]:
        return []


def measure(spans: int = SPANS) -> dict[str, Calls]:
    """Stage of consume → what it does for a span, at 512 spans a request."""
    stages = stages_of_consume(spans, _Discarding)  # type: ignore[arg-type]  # as much as consume calls
    return {name: _calls(work, spans) for name, work in stages.items()}


def _calls(work: Callable[[], Any], spans: int) -> Calls:
    work()  # fills the memories of names, hashes and peers
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
    with collector_paused():
        before = sys.getallocatedblocks()
        kept = work()
        objects = sys.getallocatedblocks() - before
    del kept
    return Calls(counts["c_call"] / spans, counts["call"] / spans, objects / spans)
