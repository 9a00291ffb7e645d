"""Parents: spans above a callee whose kind makes no half by itself (instrumentation by hand often makes it SERVER or
INTERNAL), the half that each makes as if it had made it itself, and whom a callee of a stored trace was called by."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING
from zlib import crc32

from chalicelib.model.edges import EdgeKind, Edges
from chalicelib.model.halves import CHILD_KINDS, Callee, Caller
from chalicelib.model.join import kind_of_call
from chalicelib.model.measure import Measure, bucket_of
from chalicelib.model.peers import peer_of
from chalicelib.model.span import CALLER_KINDS, INTERNAL, PRODUCER, UNSPECIFIED, Span
from chalicelib.model.statistics import MINUTE_NANO

if TYPE_CHECKING:
    from collections.abc import Iterable

_KINDLESS = (UNSPECIFIED, INTERNAL)


def parent_half(
    trace_id: bytes,
    span_id: bytes,
    service: str,
    kind: int,
    parent: bytes,
    start_time_unix_nano: int,
) -> Caller:
    """The caller that a span is which stands for no call: without name, error and duration. Those are its callees'."""
    minute = start_time_unix_nano // MINUTE_NANO
    return Caller(trace_id, span_id, service, "", parent_kind(kind, parent), False, minute, 0)


def parent_kind(kind: int, parent: bytes) -> EdgeKind:
    """One of PARENT_KINDS, of a span of a kind and with a parent (empty for none).

    Zipkin's linker looks for the nearest span above a server or client that has a kind. Above one without kind there
    is one, unless that is the root. Source: zipkin2.internal.DependencyLinker, firstRemoteAncestor.
    """
    return EdgeKind.PARENT if kind in _KINDLESS and not parent else EdgeKind.RPC


class StoredSpans:
    """The spans of a stored trace, as callers of its callees. By id: a trace may be large, and each be asked for."""

    def __init__(self, spans: Iterable[Span]) -> None:
        self._by_id: dict[bytes, list[Span]] = defaultdict(list)
        self._clients_by_crc: dict[int, list[Span]] = defaultdict(list)
        self.span_count = 0
        for span in spans:
            self.span_count += 1
            self._by_id[span.span_id].append(span)
            if span.kind in CALLER_KINDS:
                self._clients_by_crc[crc32(span.span_id)].append(span)

    def callers_of(self, callee: Callee) -> list[Span]:
        """The spans of other services that may have called it: those that share its id (Zipkin's way), or its parents.

        A child has none if a span of its own service has the id of its parent.
        """
        if callee.kind == EdgeKind.RPC and (
            sharing := _of_others(callee, self._clients_by_crc.get(callee.own, ()))
        ):
            return sharing
        with_id = self._by_id.get(callee.span_id, [])
        found = _of_others(callee, with_id)
        return [] if callee.kind in CHILD_KINDS and len(found) < len(with_id) else found


def _of_others(callee: Callee, spans: Iterable[Span]) -> list[Span]:
    return [span for span in spans if span.scope.service_key != callee.service]


def parents_of(callee: Callee, stored: StoredSpans) -> list[Caller]:
    """The halves of the spans above a callee that have made none, as far as it knows.

    None where a client is there whose half is only late: it will come, or is found when the window has ended.
    """
    found = stored.callers_of(callee)
    if any(map(has_own_half, found)):
        return []
    return [
        parent_half(
            span.trace_id,
            span.span_id,
            span.scope.service_key,
            span.kind,
            span.parent_span_id,
            span.start_time_unix_nano,
        )
        for span in found
    ]


def has_own_half(span: Span) -> bool:
    """Whether a span stands for a call of which it makes a half: a call to a database has none."""
    if span.kind not in CALLER_KINDS:
        return False
    peer = peer_of(span.attributes)
    return peer is None or peer.kind != EdgeKind.DATABASE


def edge_of(callee: Callee, stored: StoredSpans) -> tuple[int, Edges] | None:
    """(Minute, edge) of a callee whose caller's trace has these spans; None if they show no call.

    The latency is the caller's if its span stands for the call (CLIENT, PRODUCER), else the callee's own.
    """
    parents = stored.callers_of(callee)
    if not parents:
        return None
    parent = min(parents, key=lambda span: (not has_own_half(span), span.raw))
    stands_for_call = has_own_half(parent)
    bucket = bucket_of(parent.duration_nano) if stands_for_call else callee.bucket
    is_error = callee.is_error or (stands_for_call and parent.is_error)
    edges = Edges()
    key = (parent.scope.service_key, callee.service, kind_of_call(_half_kind(parent), callee.kind))
    edges.offer(key, Measure(1, int(is_error), 0, {bucket: 1}), parent.trace_id)
    return parent.start_time_unix_nano // MINUTE_NANO, edges


def _half_kind(span: Span) -> int:
    """The kind of a span's half, as a caller."""
    if has_own_half(span):
        return EdgeKind.MESSAGING if span.kind == PRODUCER else EdgeKind.EXTERNAL
    return parent_kind(span.kind, span.parent_span_id)
