"""Half-edges of a group's spans, packed as they are stored, and the edges that are whole already.

    CLIENT or PRODUCER span           ──▶ caller, found under its own span id
    SERVER or CONSUMER span           ──▶ callee, looks for the span id of its parent; a shared one for its own
    each link of a CONSUMER span      ──▶ callee, looks for the span id of the producer, in the producer's trace

A caller that names a database is an edge by itself: databases send no spans.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING
from zlib import crc32

from chalicelib.model.edges import EdgeKind, Edges, smallest_exemplar
from chalicelib.model.halves import CALLEE, CALLER, HalfRows, Row
from chalicelib.model.measure import bucket_of, measure_of
from chalicelib.model.peers import Peer, peer_of
from chalicelib.model.span import CALLEE_KINDS, CALLER_KINDS, CONSUMER, SERVER
from chalicelib.model.statistics import MINUTE_NANO
from chalicelib.model.zipkin import SHARED_ATTRIBUTE
from chalicelib.store.layout import shard_of_trace

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from chalicelib.model.clew_pb2 import Halves as HalvesMessage
    from chalicelib.model.span import Span, Traces

    DatabaseCall = tuple[int, str, str, bool]
    """Minute, service, the database's name, and whether it failed."""

_NO_PEER = Peer("", EdgeKind.EXTERNAL)


class HalfEdges:
    """What the traces of a shard add to edges."""

    def __init__(self) -> None:
        self._halves = HalfRows()
        self._linked: dict[bytes, set[bytes]] = defaultdict(set)
        """Trace → callees that look for one of its spans by a link."""
        self._database_calls: dict[DatabaseCall, list[tuple[int, bytes]]] = defaultdict(list)

    def add_trace(self, trace_id: bytes, spans: Iterable[Span]) -> list[Span]:
        """Return the consumers that link to something."""
        halves = self._halves
        caller_profiles, callee_profiles = halves.caller_profiles, halves.callee_profiles
        minutes = halves.minutes
        callers: list[bytes] = []
        callees: list[bytes] = []
        linking: list[Span] = []
        for span in spans:
            # Unpacked at once: this runs for every span.
            _, span_id, parent, _, kind, start, duration, is_error, _, scope, _, raws, _, links = (
                span
            )
            if kind in CALLER_KINDS:
                name, edge_kind = peer_of(raws) or _NO_PEER
                service, minute = scope.service_key, start // MINUTE_NANO
                if edge_kind is EdgeKind.DATABASE:
                    call = minute, service, name, is_error
                    self._database_calls[call].append((duration, trace_id))
                    continue
                profile = caller_profiles[service, name, edge_kind, is_error]
                bucket = bucket_of(duration)
                callers.append(CALLER.pack(span_id, profile, minutes[minute], bucket))
            elif kind in CALLEE_KINDS:
                # Zipkin's way: both halves of a call have one id.
                wanted = span_id if SHARED_ATTRIBUTE in raws else parent
                if len(wanted) == 8:
                    edge_kind = EdgeKind.RPC if kind == SERVER else EdgeKind.MESSAGING
                    profile = callee_profiles[scope.service_key, edge_kind, is_error]
                    own, bucket = crc32(span_id), bucket_of(duration)
                    callees.append(CALLEE.pack(wanted, own, profile, bucket))
                if links and kind == CONSUMER:
                    linking.append(span)
        if callers or callees:
            # Each once, however often it came.
            halves.rows.append(Row(trace_id, sorted(set(callers)), sorted(set(callees))))
        return linking

    def add_link(self, span: Span, trace_id: bytes, span_id: bytes) -> None:
        """A consumer's link to a span, perhaps of another trace."""
        profile = span.scope.service_key, EdgeKind.MESSAGING, span.is_error
        self._linked[trace_id].add(
            CALLEE.pack(
                span_id,
                crc32(span.span_id),
                self._halves.callee_profiles[profile],
                bucket_of(span.duration_nano),
            )
        )

    def messages(self) -> Iterator[HalvesMessage]:
        for trace_id, callees in self._linked.items():
            self._halves.rows.append(Row(trace_id, [], sorted(callees)))
        self._linked.clear()
        return self._halves.messages()

    def edges(self) -> dict[int, Edges]:
        """Those that are whole already, calls to databases, by minute."""
        edges: dict[int, Edges] = defaultdict(Edges)
        for (minute, service, database, is_error), of_alike in self._database_calls.items():
            durations, trace_ids = zip(*of_alike, strict=True)
            measure = measure_of(durations, is_error=is_error)
            measure.duration_sum_nano = 0  # The durations of edges are not summed.
            exemplar = smallest_exemplar(trace_ids)
            edges[minute].offer((service, database, EdgeKind.DATABASE), measure, exemplar)
        return edges


def half_edges_of(traces: Traces, shards: int) -> dict[int, HalfEdges]:
    """Shard → what these traces add to its edges."""
    by_shard: dict[int, HalfEdges] = defaultdict(HalfEdges)
    for trace_id, spans in traces.items():
        linking = by_shard[shard_of_trace(trace_id, shards)].add_trace(trace_id, spans)
        for span in linking:
            # A link leads to the producer's trace, and so perhaps to another shard.
            for linked in set(span.links) - {(trace_id, span.parent_span_id)}:
                by_shard[shard_of_trace(linked[0], shards)].add_link(span, *linked)
    return by_shard
