"""What storing a span consists of: calls, and objects that last until its group is stored. Counts, and no times."""

from __future__ import annotations

import gc
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from bench.load import requests
from bench.processing import NOW_NANO, NOW_UNIX_SECONDS, SPANS
from bench.stages import consume_all, receive
from chalicelib import config
from chalicelib.collector import collector_paused
from chalicelib.model.batch import batches_of
from chalicelib.queue.message import payload_of
from chalicelib.store.half_edges import half_edges_of
from chalicelib.store.packed import pack, runs_by_trace
from chalicelib.store.search_block import blocks_of
from chalicelib.store.search_row import rows_of
from chalicelib.store.segment import segments_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.store.items import Item, ItemStore


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
    bodies = requests(7, spans, 512)
    messages = [message for body in bodies for message in receive(body, NOW_UNIX_SECONDS)]
    payloads = [
        payload_of(config.TENANT, message, config.MESSAGE_PAYLOAD_BYTES_MAX) for message in messages
    ]
    batches = list(batches_of(payloads))
    rows = rows_of(batches)
    store: ItemStore = _Discarding()  # type: ignore[assignment]
    works: dict[str, Callable[[], Any]] = {
        "spans out of payloads": lambda: list(batches_of(payloads)),
        "chunks: packing": lambda: list(map(pack, runs_by_trace(batches).values())),
        "rows of the index": lambda: rows_of(batches),
        "blocks of the index": lambda: blocks_of(rows),
        "segments: half-edges": lambda: half_edges_of(batches, config.SHARDS),
        "segments: all": lambda: segments_of(batches, config.SHARDS),
        "all of consume": lambda: consume_all(messages, store, NOW_NANO),
    }
    return {name: _calls(work, spans) for name, work in works.items()}


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
