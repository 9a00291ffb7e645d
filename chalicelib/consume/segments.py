"""Segments: what exactly one commit adds to statistics and edges, in a form that the fold merges later.

batches ──segments_of──▶ Segment(shard, sealed entries)
"""

from __future__ import annotations

from collections import defaultdict
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

from chalicelib.consume.half_edges import half_edges_of
from chalicelib.model.edges import edges_message
from chalicelib.model.statistics import statistics_message, statistics_of
from chalicelib.store.layout import shard_of_service
from chalicelib.store.segment import Entry, sealed_segments

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from chalicelib.model.batch import SpanBatch


class Segment(NamedTuple):
    shard: int
    value: bytes


def segments_of(batches: Sequence[SpanBatch], shards: int) -> list[Segment]:
    """The segments that these spans add: none for no spans, one a shard as a rule."""
    entries: dict[int, list[Entry]] = defaultdict(list)
    for (service, minute), statistics in sorted(statistics_of(batches).items(), key=itemgetter(0)):
        entry = Entry(service=service, minute=minute, statistics=statistics_message(statistics))
        entries[shard_of_service(service, shards)].append(entry)
    for shard, entry in _edge_entries(batches, shards):
        entries[shard].append(entry)
    return [
        Segment(shard, value)
        for shard, of_shard in sorted(entries.items())
        for value in sealed_segments(of_shard)
    ]


def _edge_entries(batches: Sequence[SpanBatch], shards: int) -> Iterator[tuple[int, Entry]]:
    for shard, half_edges in sorted(half_edges_of(batches, shards).items(), key=itemgetter(0)):
        for minute, edges in sorted(half_edges.edges().items()):
            yield shard, Entry(minute=minute, edges=edges_message(edges))
        for message in half_edges.messages():
            yield shard, Entry(halves=message)
