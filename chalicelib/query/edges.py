"""Calls between services in a range of time."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from chalicelib import config
from chalicelib.model.edges import Edges, call_counts_of, edges_from, merged_edges
from chalicelib.model.halves import traces_of
from chalicelib.model.join import NewHalves, added_edges, known_for
from chalicelib.model.units import SECOND_NANO
from chalicelib.query.snapshot import (
    MINUTE_SECONDS,
    Part,
    Seconds,
    held,
    level_for,
    pending_of,
    shards,
    widened,
)
from chalicelib.store.half_edge_cache import HalfEdgeCache
from chalicelib.store.layout import Level, edges_partition
from chalicelib.store.shard import ShardView, read_consistently
from chalicelib.store.targets import EDGES_NAME, call_counts_in, edges_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from chalicelib.model.clew_pb2 import Edges as EdgesMessage
    from chalicelib.model.edges import CallCounts
    from chalicelib.query.parameters import Range
    from chalicelib.query.snapshot import PartOf
    from chalicelib.store.items import ItemStore


_NO_CALLS = (0, 0)
_MERGED_BYTES = 8_000_000
"""A usual answer's parts are merged at once; those of a year of thousands of edges, as they come."""


class EdgesBetween(NamedTuple):
    seconds: Seconds
    """What is really answered: the range asked for in whole minutes, or in hours or days where it is old."""
    edges: Edges
    is_exact: bool


def edges(
    store: ItemStore,
    asked: Range,
    now_unix_seconds: int,
    remembered: HalfEdgeCache | None = None,
) -> EdgesBetween:
    """Every edge whose calls started in a range.

    `remembered` is this function's memory of the store, from answers before: else all is read anew.
    """
    seconds, level = _asked(asked, now_unix_seconds)

    def read(views: dict[int, ShardView]) -> Edges:
        folded = (
            part
            for shard in views
            for part in _folded(store, shard, seconds, level, now_unix_seconds, edges_in)
        )
        found = edges_from(_merged(folded))
        for edges in _unfolded_between(store, views, seconds, now_unix_seconds, remembered):
            found.add(edges)
        return found

    found, is_exact = read_consistently(store, shards(), read)
    return EdgesBetween(seconds, found, is_exact)


def _merged(parts: Iterable[EdgesMessage]) -> EdgesMessage:
    """The sum of parts, of which a few are in memory at a time."""
    waiting: list[EdgesMessage] = []
    waiting_bytes = 0
    for part in parts:
        waiting.append(part)
        waiting_bytes += part.ByteSize()
        if waiting_bytes > _MERGED_BYTES:
            waiting, waiting_bytes = [merged_edges(waiting)], 0
    return merged_edges(waiting)


def call_counts(
    store: ItemStore,
    asked: Range,
    now_unix_seconds: int,
    remembered: HalfEdgeCache | None = None,
) -> CallCounts:
    """The edges whose calls started in a range, without their durations: a fraction of the work.

    `remembered` as of `edges`.
    """
    seconds, level = _asked(asked, now_unix_seconds)

    def read(views: dict[int, ShardView]) -> CallCounts:
        counts: CallCounts = {}
        for shard in views:
            parts = _folded(store, shard, seconds, level, now_unix_seconds, call_counts_in)
            for part in parts:
                _count(counts, part)
        for edges in _unfolded_between(store, views, seconds, now_unix_seconds, remembered):
            _count(counts, call_counts_of(edges))
        return {edge: counted for edge, counted in counts.items() if counted[0]}

    return read_consistently(store, shards(), read)[0]


def _count(counts: CallCounts, part: CallCounts) -> None:
    for edge, (calls, errors) in part.items():
        before = counts.get(edge, _NO_CALLS)
        counts[edge] = before[0] + calls, before[1] + errors


def _asked(asked: Range, now_unix_seconds: int) -> tuple[Seconds, Level]:
    start, end = asked.start // SECOND_NANO, -(-asked.end // SECOND_NANO)
    level = level_for(MINUTE_SECONDS, start, now_unix_seconds)
    return widened(start, end, level.seconds), level


def _folded(
    store: ItemStore,
    shard: int,
    seconds: Seconds,
    level: Level,
    now_unix_seconds: int,
    part_of: PartOf[Part],
) -> Iterator[Part]:
    pieces = list(_pieces(seconds, level))
    needs_pending = any(each is not Level.MINUTE for each, _ in pieces)
    pending = pending_of(
        store, [shard] if needs_pending else [], EDGES_NAME, seconds, now_unix_seconds
    )
    partition = edges_partition(shard)
    for each, part in pieces:
        found = held(store, partition, each, part, pending, now_unix_seconds, part_of)
        yield from (edges for _, edges in found)


def _pieces(seconds: Seconds, level: Level) -> Iterator[tuple[Level, Seconds]]:
    """The range in as few reads as hold it: whole days at day level, the ragged ends at the next finer one."""
    coarser = {Level.MINUTE: Level.HOUR, Level.HOUR: Level.DAY}.get(level)
    if coarser is None:
        yield level, seconds
        return
    first = -(-seconds.start // coarser.seconds) * coarser.seconds
    last = seconds.end // coarser.seconds * coarser.seconds
    if first >= last:
        yield level, seconds
        return
    if seconds.start < first:
        yield level, Seconds(seconds.start, first)
    yield from _pieces(Seconds(first, last), coarser)
    if last < seconds.end:
        yield level, Seconds(last, seconds.end)


def _unfolded_between(
    store: ItemStore,
    views: dict[int, ShardView],
    seconds: Seconds,
    now_unix_seconds: int,
    remembered: HalfEdgeCache | None,
) -> Iterator[Edges]:
    if remembered is None:
        remembered = HalfEdgeCache(0)
    for shard, view in views.items():
        for minute, edges in _unfolded(store, shard, view, now_unix_seconds, remembered):
            if seconds.start <= minute * MINUTE_SECONDS < seconds.end:
                yield edges


def _unfolded(
    store: ItemStore,
    shard: int,
    view: ShardView,
    now_unix_seconds: int,
    remembered: HalfEdgeCache,
) -> Iterator[tuple[int, Edges]]:
    """(Minute, edges) that the shard's next folds will add."""
    messages = []
    for entry in view.entries:
        if entry.HasField("edges"):
            yield entry.minute, edges_from(entry.edges)
        elif entry.HasField("halves"):
            messages.append(entry.halves)
    if messages:
        new = NewHalves(messages, now_unix_seconds)
        waiting = remembered.waiting(store, shard, view.state, traces_of(new.keys))
        known = known_for(waiting, new)
        yield from added_edges(known, new, config.PENDING_WINDOW_SECONDS).items()
