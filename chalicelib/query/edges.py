"""Calls between services in a range of time."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from chalicelib import config
from chalicelib.model.edges import Edges, edges_from
from chalicelib.model.halves import Halves, halves_from
from chalicelib.query.parameters import SECOND_NANO
from chalicelib.query.snapshot import (
    MINUTE_SECONDS,
    Seconds,
    held,
    level_for,
    pending_of,
    shards,
    widened,
)
from chalicelib.store.layout import Level, edges_partition
from chalicelib.store.shard import ShardView, read_consistently, read_halves
from chalicelib.store.targets import EDGES_NAME, edges_target
from chalicelib.summarise.fold import known_halves
from chalicelib.summarise.join import added_edges

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.query.parameters import Range
    from chalicelib.store.items import ItemStore


class EdgesBetween(NamedTuple):
    seconds: Seconds
    """What is really answered: the range asked for in whole minutes, or in hours or days where it is old."""
    edges: Edges
    is_exact: bool


def edges(store: ItemStore, asked: Range, now_unix_seconds: int) -> EdgesBetween:
    """Every edge whose calls started in a range."""
    start, end = asked.start // SECOND_NANO, -(-asked.end // SECOND_NANO)
    level = level_for(MINUTE_SECONDS, start, now_unix_seconds)
    seconds = widened(start, end, level.seconds)

    def read(views: dict[int, ShardView]) -> Edges:
        found = Edges()
        for shard, view in views.items():
            for edges in _folded(store, shard, seconds, level, now_unix_seconds):
                found.add(edges)
            for minute, edges in _unfolded(store, shard, view, now_unix_seconds):
                if seconds.start <= minute * MINUTE_SECONDS < seconds.end:
                    found.add(edges)
        return found

    found, is_exact = read_consistently(store, shards(), read)
    return EdgesBetween(seconds, found, is_exact)


def _folded(
    store: ItemStore, shard: int, seconds: Seconds, level: Level, now_unix_seconds: int
) -> Iterator[Edges]:
    pieces = list(_pieces(seconds, level))
    needs_pending = any(each is not Level.MINUTE for each, _ in pieces)
    pending = pending_of(
        store, [shard] if needs_pending else [], EDGES_NAME, seconds, now_unix_seconds
    )
    partition = edges_partition(shard)
    for each, part in pieces:
        for _, edges in held(store, partition, each, part, pending, now_unix_seconds, edges_target):
            yield edges


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


def _unfolded(
    store: ItemStore, shard: int, view: ShardView, now_unix_seconds: int
) -> Iterator[tuple[int, Edges]]:
    """(Minute, edges) that the shard's next folds will add."""
    new = Halves(set(), set())
    for entry in view.entries:
        if entry.HasField("edges"):
            yield entry.minute, edges_from(entry.edges)
        elif entry.HasField("halves"):
            halves = halves_from(entry.halves)
            new.callers.update(halves.callers)
            new.callees.update(halves.callees)
    if new.callers or new.callees:
        known = known_halves(view, read_halves(store, shard), view.entries)
        window = config.PENDING_WINDOW_SECONDS
        yield from added_edges(known, new, now_unix_seconds, window).items()
