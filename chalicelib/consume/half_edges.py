"""Half-edges of spans, packed as they are stored, and the edges that are whole already.

    CLIENT or PRODUCER span           ──▶ caller, found under its own span id
    SERVER or CONSUMER span           ──▶ callee, looks for the span id of its parent; a shared one for its own
    SERVER without a parent           ──▶ callee, looks for its own id; but if flags say that it has no remote parent
    each link of a CONSUMER span      ──▶ callee, looks for the span id of the producer, in the producer's trace
    any other span, if its parent may ──▶ child: a callee, looks for the span id of its parent
      be another service's
    its parent, or a SERVER's, of any ──▶ parent: a caller, found under its own span id
      other kind than CLIENT, PRODUCER

A caller that names a database is an edge by itself: databases send no spans.

Most spans' parents are of their own service, and children and parents of all of them would double what is stored of
halves. So a span is a child only if its flags do not say that its parent is local, and its parent is not among
the spans of its service that came with it. A span is a parent if one that looks for it came with it, or if it lasts so
long that such a one was looked up before it came; others are found in the stored trace (`summarise/waiting.py`).
Whichever way a half comes, it is the same.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import chain
from typing import TYPE_CHECKING
from zlib import crc32

from chalicelib.model.edges import EdgeKind, Edges, smallest_exemplar
from chalicelib.model.halves import CALLEE, CALLER, ROOT_KIND, Caller, HalfRows, Row
from chalicelib.model.measure import Measure, bucket_of, buckets_of
from chalicelib.model.parents import parent_half
from chalicelib.model.peers import Peer, peer_of
from chalicelib.model.span import (
    CALLEE_KINDS,
    CALLER_KINDS,
    CLIENT,
    CONSUMER,
    SERVER,
    is_parent_local,
)
from chalicelib.model.statistics import MINUTE_NANO
from chalicelib.model.units import SECOND_NANO
from chalicelib.model.zipkin import SHARED_ATTRIBUTE
from chalicelib.store.layout import shard_of_trace

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence, Set

    from chalicelib.model.batch import SpanBatch
    from chalicelib.model.clew_pb2 import Halves as HalvesMessage
    from chalicelib.model.span import Span

    DatabaseCall = tuple[int, str, str, bool]
    """Minute, service, the database's name, and whether it failed."""

_NO_PEER = Peer("", EdgeKind.EXTERNAL)
# A member that is looked up in its enum, for every span, takes as long as the rest.
_DATABASE, _RPC, _MESSAGING = EdgeKind.DATABASE, int(EdgeKind.RPC), int(EdgeKind.MESSAGING)
_LONG_NANO = 25 * SECOND_NANO
"""A span that lasts less comes before those that look for it are looked up: they are so 40 s after their commit, and
a sender and the consumer may each hold it back for some seconds."""


class HalfEdges:
    """What the traces of a shard add to edges."""

    def __init__(self) -> None:
        self.halves = HalfRows()
        self.callers: dict[bytes, list[bytes]] = defaultdict(list)
        """Trace → records."""
        self.callees: dict[bytes, list[bytes]] = defaultdict(list)
        self.database_calls: dict[DatabaseCall, list[tuple[int, bytes]]] = defaultdict(list)
        """Each with its duration's bucket and its trace."""

    def add_caller(self, caller: Caller) -> None:
        profile = self.halves.caller_profiles[caller[2:6]]
        minute = self.halves.minutes[caller.minute]
        record = CALLER.pack(caller.span_id, profile, minute, caller.bucket)
        self.callers[caller.trace_id].append(record)

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
        """Messages as few as keep each below 200 KB, so that it fits an item."""
        traces = dict.fromkeys(chain(self.callers, self.callees))
        self.halves.rows = [
            # Each once, however often it came.
            Row(each, sorted(set(self.callers[each])), sorted(set(self.callees[each])))
            for each in traces
        ]
        return self.halves.messages()

    def edges(self) -> dict[int, Edges]:
        """The edges that are whole already, which are calls to databases, by minute."""
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
    batches = list(batches)
    wanted: set[bytes] = set()
    for batch, children in zip(batches, _children(batches), strict=True):
        _add(batch, by_shard, shards, wanted)
        for place in children:
            _add_child(batch, place, by_shard, shards)
            wanted.add(batch.parent_span_ids[place])
        if CONSUMER in batch.kinds and batch.raw_links:
            for span in batch.spans():
                if span.kind == CONSUMER:
                    # A link leads to the producer's trace, and so perhaps to another shard.
                    for trace_id, linked in span.links:
                        shard = shard_of_trace(trace_id, shards)
                        by_shard[shard].add_link(trace_id, linked, span)
    for batch in batches:
        _add_parents(batch, by_shard, shards, wanted)
    return by_shard


def _children(batches: Sequence[SpanBatch]) -> Iterator[Sequence[int]]:
    """For each batch the places of spans that are neither SERVER nor CONSUMER and may be another service's children.

    They are those whose flags do not say that their parent is local, and whose parent is no span of their service
    among these. (Of spans of one id in several traces, one is known: those below the others are children needlessly.)
    """
    trace_of: dict[str, dict[bytes, bytes]] | None = None
    for batch in batches:
        local = _local_flags(batch)
        if local.issuperset(batch.flags):
            yield ()
            continue
        if trace_of is None:
            trace_of = _traces_of_ids(batches)
        trace_of_id = trace_of[batch.scope.service_key].get
        columns = zip(batch.trace_ids, batch.parent_span_ids, batch.kinds, batch.flags, strict=True)
        yield [
            place
            for place, (trace_id, parent, kind, flags) in enumerate(columns)
            if parent
            and kind not in CALLEE_KINDS
            and trace_of_id(parent) != trace_id
            and flags not in local
            and len(parent) == 8
        ]


def _local_flags(batch: SpanBatch) -> set[int]:
    return {each for each in set(batch.flags) if is_parent_local(each)}


def _traces_of_ids(batches: Sequence[SpanBatch]) -> dict[str, dict[bytes, bytes]]:
    """Service → its spans' ids → their trace ids."""
    found: dict[str, dict[bytes, bytes]] = defaultdict(dict)
    for batch in batches:
        found[batch.scope.service_key].update(zip(batch.span_ids, batch.trace_ids, strict=True))
    return found


def _add_child(batch: SpanBatch, place: int, by_shard: dict[int, HalfEdges], shards: int) -> None:
    trace_id, kind = batch.trace_ids[place], batch.kinds[place]
    of_shard = by_shard[shard_of_trace(trace_id, shards)]
    # What fails in a call that a client makes of another service is not the call to its own.
    is_error = batch.errors[place] and kind not in CALLER_KINDS
    edge_kind = EdgeKind.EXTERNAL if kind == CLIENT else EdgeKind.PARENT
    profile = of_shard.halves.callee_profiles[batch.scope.service_key, edge_kind, is_error]
    own, bucket = crc32(batch.span_ids[place]), bucket_of(batch.durations_nano[place])
    record = CALLEE.pack(batch.parent_span_ids[place], own, profile, bucket)
    of_shard.callees[trace_id].append(record)


def _add_parents(
    batch: SpanBatch, by_shard: dict[int, HalfEdges], shards: int, wanted: Set[bytes]
) -> None:
    """Add the callers that are wanted, by their ids, and those that last long. One of another trace is a parent
    needlessly."""
    places = [place for place, each in enumerate(batch.span_ids) if each in wanted]
    if max(batch.durations_nano) >= _LONG_NANO:
        durations = enumerate(batch.durations_nano)
        places += [place for place, duration in durations if duration >= _LONG_NANO]
    for place in places:
        kind = batch.kinds[place]
        if kind not in CALLER_KINDS:
            half = parent_half(
                batch.trace_ids[place],
                batch.span_ids[place],
                batch.scope.service_key,
                kind,
                batch.parent_span_ids[place],
                batch.start_times_unix_nano[place],
            )
            by_shard[shard_of_trace(half.trace_id, shards)].add_caller(half)


def _add(batch: SpanBatch, by_shard: dict[int, HalfEdges], shards: int, wanted: set[bytes]) -> None:
    """Callers and callees; to `wanted`, whom the callees look for: span ids."""
    service = batch.scope.service_key
    local = _local_flags(batch)
    trace_id = b""
    # All fields at once: this runs for every span.
    for of_trace, span_id, parent, kind, start, bucket, is_error, flags, attributes in zip(
        batch.trace_ids,
        batch.span_ids,
        batch.parent_span_ids,
        batch.kinds,
        batch.start_times_unix_nano,
        buckets_of(batch.durations_nano),
        batch.errors,
        batch.flags,
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
            looked_for, callee_kind = parent, _RPC if kind == SERVER else _MESSAGING
            if SHARED_ATTRIBUTE in attributes:
                # Zipkin's way: both halves of a call have one id.
                looked_for = span_id
            elif parent:
                wanted.add(parent)
            elif kind == SERVER and flags not in local:
                # As above, perhaps: a Collector drops the mark. No SDK of OpenTelemetry makes such spans.
                looked_for, callee_kind = span_id, ROOT_KIND
            if len(looked_for) == 8:
                profile = halves.callee_profiles[service, callee_kind, is_error]
                record = CALLEE.pack(looked_for, crc32(span_id), profile, bucket)
                of_shard.callees[trace_id].append(record)
