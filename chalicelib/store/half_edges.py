"""Half-edges of spans, packed as they are stored, and the edges that are whole already.

    CLIENT or PRODUCER span           ──▶ caller, found under its own span id
    SERVER or CONSUMER span           ──▶ callee, looks for the span id of its parent; a shared one for its own
    each link of a CONSUMER span      ──▶ callee, looks for the span id of the producer, in the producer's trace

A caller that names a database is an edge by itself: databases send no spans.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import chain
from typing import TYPE_CHECKING
from zlib import crc32

from chalicelib.model.edges import EdgeKind, Edges, smallest_exemplar
from chalicelib.model.halves import CALLEE, CALLER, HalfRows, Row
from chalicelib.model.measure import Measure, bucket_of, buckets_of
from chalicelib.model.peers import Peer, peer_of
from chalicelib.model.span import CALLEE_KINDS, CALLER_KINDS, CONSUMER, SERVER
from chalicelib.model.statistics import MINUTE_NANO
from chalicelib.model.zipkin import SHARED_ATTRIBUTE
from chalicelib.store.layout import shard_of_trace

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from chalicelib.model.batch import SpanBatch
    from chalicelib.model.clew_pb2 import Halves as HalvesMessage
    from chalicelib.model.span import Span

    DatabaseCall = tuple[int, str, str, bool]
    """Minute, service, the database's name, and whether it failed."""

_NO_PEER = Peer("", EdgeKind.EXTERNAL)
# A member that is looked up in its enum, for every span, takes as long as the rest.
_DATABASE, _RPC, _MESSAGING = EdgeKind.DATABASE, EdgeKind.RPC, EdgeKind.MESSAGING


class HalfEdges:
    """What the traces of a shard add to edges."""

    def __init__(self) -> None:
        self.halves = HalfRows()
        self.callers: dict[bytes, list[bytes]] = defaultdict(list)
        """Trace → records."""
        self.callees: dict[bytes, list[bytes]] = defaultdict(list)
        self.database_calls: dict[DatabaseCall, list[tuple[int, bytes]]] = defaultdict(list)
        """Each with its duration's bucket and its trace."""

    def add_link(self, trace_id: bytes, wanted: bytes, span: Span) -> None:
        """A consumer's link to a span, perhaps of another trace than its own."""
        profile = span.scope.service_key, EdgeKind.MESSAGING, span.is_error
        self.callees[trace_id].append(
            CALLEE.pack(
                wanted,
                crc32(span.span_id),
                self.halves.callee_profiles[profile],
                bucket_of(span.duration_nano),
            )
        )

    def messages(self) -> Iterator[HalvesMessage]:
        """As few as keep each below 200 KB, so that it fits an item."""
        traces = dict.fromkeys(chain(self.callers, self.callees))
        self.halves.rows = [
            # Each once, however often it came.
            Row(each, sorted(set(self.callers[each])), sorted(set(self.callees[each])))
            for each in traces
        ]
        return self.halves.messages()

    def edges(self) -> dict[int, Edges]:
        """Those that are whole already, calls to databases, by minute."""
        edges: dict[int, Edges] = defaultdict(Edges)
        for (minute, service, database, is_error), of_alike in self.database_calls.items():
            buckets, trace_ids = zip(*of_alike, strict=True)
            calls = len(buckets)
            # The durations of edges are not summed.
            measure = Measure(calls, calls if is_error else 0, 0, Counter(buckets))
            exemplar = smallest_exemplar(trace_ids)
            edges[minute].offer((service, database, EdgeKind.DATABASE), measure, exemplar)
        return edges


def half_edges_of(batches: Iterable[SpanBatch], shards: int) -> dict[int, HalfEdges]:
    """Shard → what these spans add to its edges."""
    by_shard: dict[int, HalfEdges] = defaultdict(HalfEdges)
    for batch in batches:
        _add(batch, by_shard, shards)
        if CONSUMER in batch.kinds and batch.raw_links:
            for span in batch.spans():
                if span.kind == CONSUMER:
                    # A link leads to the producer's trace, and so perhaps to another shard.
                    for trace_id, wanted in span.links:
                        shard = shard_of_trace(trace_id, shards)
                        by_shard[shard].add_link(trace_id, wanted, span)
    return by_shard


def _add(batch: SpanBatch, by_shard: dict[int, HalfEdges], shards: int) -> None:
    service = batch.scope.service_key
    trace_id = b""
    # All fields at once: this runs for every span.
    for of_trace, span_id, parent, kind, start, bucket, is_error, attributes in zip(
        batch.trace_ids,
        batch.span_ids,
        batch.parent_span_ids,
        batch.kinds,
        batch.start_times_unix_nano,
        buckets_of(batch.durations_nano),
        batch.errors,
        batch.attributes.of_each(),
        strict=True,
    ):
        if of_trace != trace_id:
            trace_id = of_trace
            of_shard = by_shard[shard_of_trace(trace_id, shards)]
            halves = of_shard.halves
        if kind in CALLER_KINDS:
            name, edge_kind = peer_of(attributes) or _NO_PEER
            minute = start // MINUTE_NANO
            if edge_kind is _DATABASE:
                call = minute, service, name, is_error
                of_shard.database_calls[call].append((bucket, trace_id))
            else:
                profile = halves.caller_profiles[service, name, edge_kind, is_error]
                record = CALLER.pack(span_id, profile, halves.minutes[minute], bucket)
                of_shard.callers[trace_id].append(record)
        elif kind in CALLEE_KINDS:
            # Zipkin's way: both halves of a call have one id.
            wanted = span_id if SHARED_ATTRIBUTE in attributes else parent
            if len(wanted) == 8:
                edge_kind = _RPC if kind == SERVER else _MESSAGING
                profile = halves.callee_profiles[service, edge_kind, is_error]
                record = CALLEE.pack(wanted, crc32(span_id), profile, bucket)
                of_shard.callees[trace_id].append(record)
