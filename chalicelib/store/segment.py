"""Segments: what exactly one commit adds to statistics and edges, in a form that the fold merges later.

spans ──additions_of──▶ entries by shard ──segments_of──▶ Segment(shard, sealed entries)
"""

from __future__ import annotations

from collections import defaultdict
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from chalicelib.model.clew_pb2 import Segment as SegmentMessage
from chalicelib.model.edges import edges_message
from chalicelib.model.frame import message_in, seal
from chalicelib.model.halves import Halves, halves_and_edges_of, halves_messages
from chalicelib.model.statistics import statistics_message, statistics_of
from chalicelib.store.layout import shard_of_service, shard_of_trace

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from chalicelib.model.span import Span, Traces

Entry = SegmentMessage.Entry
_SEGMENT_BYTES_MAX = 300_000
"""Uncompressed: fits an item however badly it compresses."""


class Segment(NamedTuple):
    shard: int
    value: bytes


def segments_of(traces: Traces, shards: int) -> list[Segment]:
    """The segments that these spans add: none for no spans, one a shard as a rule."""
    entries: dict[int, list[Entry]] = defaultdict(list)
    for (service, minute), statistics in sorted(
        statistics_of(chain.from_iterable(traces.values())).items(), key=lambda item: item[0]
    ):
        entry = Entry(service=service, minute=minute, statistics=statistics_message(statistics))
        entries[shard_of_service(service, shards)].append(entry)
    for shard, entry in _edge_entries(traces, shards):
        entries[shard].append(entry)
    return [
        Segment(shard, value)
        for shard, of_shard in sorted(entries.items())
        for value in sealed_segments(of_shard)
    ]


def _edge_entries(traces: Traces, shards: int) -> Iterator[tuple[int, Entry]]:
    spans_by_shard: dict[int, list[Span]] = defaultdict(list)
    for trace_id, of_trace in traces.items():
        spans_by_shard[shard_of_trace(trace_id, shards)] += of_trace
    halves_by_shard: dict[int, Halves] = {}
    for shard, of_shard in sorted(spans_by_shard.items()):
        halves_by_shard[shard], edges = halves_and_edges_of(of_shard)
        for minute, of_minute in sorted(edges.items()):
            yield shard, Entry(minute=minute, edges=edges_message(of_minute))
    if shards > 1:
        halves_by_shard = _where_they_are_looked_for(halves_by_shard, shards)
    for shard, halves in sorted(halves_by_shard.items()):
        for message in halves_messages(halves):
            yield shard, Entry(halves=message)


def _where_they_are_looked_for(
    halves_by_shard: dict[int, Halves], shards: int
) -> dict[int, Halves]:
    """A consumer's link leads to the producer's trace, and so perhaps to another shard."""
    moved: dict[int, Halves] = defaultdict(lambda: Halves(set(), set()))
    for shard, halves in halves_by_shard.items():
        moved[shard].callers.update(halves.callers)
        for callee in halves.callees:
            moved[shard_of_trace(callee.trace_id, shards)].callees.add(callee)
    return moved


def sealed_segments(entries: Iterable[Entry]) -> Iterator[bytes]:
    """Entries in order, as values of as few segments as keep each below 300 KB (one entry never is above)."""
    batch: list[Entry] = []
    batch_bytes = 0
    for entry in entries:
        size = entry.ByteSize()
        if batch and batch_bytes + size > _SEGMENT_BYTES_MAX:
            yield _sealed(batch)
            batch, batch_bytes = [], 0
        batch.append(entry)
        batch_bytes += size
    if batch:
        yield _sealed(batch)


def _sealed(entries: list[Entry]) -> bytes:
    return seal(SegmentMessage(entries=entries).SerializeToString(deterministic=True))


def entries_in(value: bytes) -> Sequence[Entry]:
    """The entries of a segment's value, in order. Raises StoreError as `unseal` does."""
    return message_in(SegmentMessage, value).entries
