"""Half-edges: what one span knows of a call whose other side is another span, perhaps in another message.

    CLIENT or PRODUCER span           ──▶ Caller, found under its own span id
    SERVER or CONSUMER span           ──▶ Callee, looks for the span id of its parent; a shared one for its own
    each link of a CONSUMER span      ──▶ Callee, looks for the span id of the producer, in the producer's trace

A caller that names a database is an edge by itself: databases send no spans. docs/item-layout.md gives the bytes.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple, TypeVar
from zlib import crc32

from chalicelib.model.clew_pb2 import Halves as HalvesMessage
from chalicelib.model.edges import EdgeKind, Edges
from chalicelib.model.measure import bucket_of
from chalicelib.model.names import key_name
from chalicelib.model.peers import Peer, peer_of
from chalicelib.model.span import CALLEE_KINDS, CALLER_KINDS, CONSUMER, Span
from chalicelib.model.statistics import MINUTE_NANO
from chalicelib.model.zipkin import SHARED_ATTRIBUTE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_CALLER = struct.Struct("<8sHHh")
"""Span id, caller profile, minute (index), duration bucket."""
_CALLEE = struct.Struct("<8sIHh")
"""Span id looked for, CRC-32 of the own span id, callee profile, duration bucket."""
_NO_PEER = Peer("", EdgeKind.EXTERNAL)
_MESSAGE_HALVES_MAX = 5_000
_MESSAGE_BYTES_MAX = 200_000


class Caller(NamedTuple):
    trace_id: bytes
    span_id: bytes
    service: str
    peer: str
    """The virtual name of whom it calls, until a callee is found; empty for none."""
    kind: int
    """EdgeKind under that name."""
    is_error: bool
    minute: int
    """Of its start, since the epoch: the edge counts there."""
    bucket: int
    """Of its duration: an edge's latency is the caller's."""


class Callee(NamedTuple):
    trace_id: bytes
    span_id: bytes
    """Of the span that it looks for."""
    own: int
    """CRC-32 of its own span id: two callees of one call stay two, one that came twice stays one."""
    service: str
    kind: int
    """EdgeKind: RPC or MESSAGING."""
    is_error: bool
    bucket: int
    """Of its duration: the edge's latency where the caller's is not known."""


HalfKey = tuple[bytes, bytes]
"""Trace id and span id of the caller: what both halves of a call have in common."""


class Halves(NamedTuple):
    callers: set[Caller]
    callees: set[Callee]


def halves_and_edges_of(spans: Iterable[Span]) -> tuple[Halves, dict[int, Edges]]:
    """The half-edges of these spans, and the edges (by minute) that are whole already: calls to databases."""
    halves = Halves(set(), set())
    edges: dict[int, Edges] = defaultdict(Edges)
    for span in spans:
        if span.kind in CALLER_KINDS:
            _add_caller(span, halves, edges)
        elif span.kind in CALLEE_KINDS:
            _add_callees(span, halves)
    return halves, edges


def _add_caller(span: Span, halves: Halves, edges: dict[int, Edges]) -> None:
    name, kind = peer_of(span.attributes) or _NO_PEER
    service = key_name(span.scope.service)
    minute = span.start_time_unix_nano // MINUTE_NANO
    bucket = bucket_of(span.duration_nano)
    if kind is EdgeKind.DATABASE:
        edges[minute].count((service, name, kind), bucket, span.is_error, span.trace_id)
        return
    caller = span.trace_id, span.span_id, service, name, kind, span.is_error, minute, bucket
    halves.callers.add(tuple.__new__(Caller, caller))


def _add_callees(span: Span, halves: Halves) -> None:
    is_consumer = span.kind == CONSUMER
    callers = {(span.trace_id, span.parent_span_id)} if len(span.parent_span_id) == 8 else set()
    if SHARED_ATTRIBUTE in span.attributes:
        # Zipkin's way: both halves of a call have one id.
        callers = {(span.trace_id, span.span_id)}
    if is_consumer:
        callers.update(span.links)
    if not callers:
        return
    kind = EdgeKind.MESSAGING if is_consumer else EdgeKind.RPC
    service = key_name(span.scope.service)
    own, bucket = crc32(span.span_id), bucket_of(span.duration_nano)
    for trace_id, span_id in callers:
        callee = trace_id, span_id, own, service, kind, span.is_error, bucket
        halves.callees.add(tuple.__new__(Callee, callee))


Half = TypeVar("Half", Caller, Callee)
Profile = TypeVar("Profile", tuple[str, str, int, bool], tuple[str, int, bool], int)


def halves_messages(halves: Halves) -> Iterator[HalvesMessage]:
    """As stored: sorted; as few messages as keep each below 200 KB, so that it fits an item."""
    ordered: list[Caller | Callee] = [*sorted(halves.callers), *sorted(halves.callees)]
    for start in range(0, len(ordered), _MESSAGE_HALVES_MAX):
        yield from _bounded_messages(ordered[start : start + _MESSAGE_HALVES_MAX])


def _bounded_messages(halves: Sequence[Caller | Callee]) -> Iterator[HalvesMessage]:
    message = _halves_message(
        [half for half in halves if isinstance(half, Caller)],
        [half for half in halves if isinstance(half, Callee)],
    )
    if message.ByteSize() > _MESSAGE_BYTES_MAX and len(halves) > 1:
        middle = len(halves) // 2
        yield from _bounded_messages(halves[:middle])
        yield from _bounded_messages(halves[middle:])
    else:
        yield message


def _halves_message(callers: Sequence[Caller], callees: Sequence[Callee]) -> HalvesMessage:
    caller_profiles = _positions(
        (half.service, half.peer, half.kind, half.is_error) for half in callers
    )
    callee_profiles = _positions((half.service, half.kind, half.is_error) for half in callees)
    minutes = _positions(half.minute for half in callers)
    callers_of, callees_of = _by_trace(callers), _by_trace(callees)
    trace_ids = sorted({*callers_of, *callees_of})
    return HalvesMessage(
        caller_profiles=[
            HalvesMessage.CallerProfile(service=service, peer=peer, kind=kind, error=error)
            for service, peer, kind, error in caller_profiles
        ],
        callee_profiles=[
            HalvesMessage.CalleeProfile(service=service, kind=kind, error=error)
            for service, kind, error in callee_profiles
        ],
        minutes=list(minutes),
        trace_ids=b"".join(trace_ids),
        caller_counts=[len(callers_of[trace_id]) for trace_id in trace_ids],
        callee_counts=[len(callees_of[trace_id]) for trace_id in trace_ids],
        callers=b"".join(
            _CALLER.pack(
                half.span_id,
                caller_profiles[half.service, half.peer, half.kind, half.is_error],
                minutes[half.minute],
                half.bucket,
            )
            for trace_id in trace_ids
            for half in callers_of[trace_id]
        ),
        callees=b"".join(
            _CALLEE.pack(
                half.span_id,
                half.own,
                callee_profiles[half.service, half.kind, half.is_error],
                half.bucket,
            )
            for trace_id in trace_ids
            for half in callees_of[trace_id]
        ),
    )


def _positions(values: Iterable[Profile]) -> dict[Profile, int]:
    """Each distinct value → its place in ascending order."""
    return {value: place for place, value in enumerate(sorted(set(values)))}


def _by_trace(halves: Sequence[Half]) -> dict[bytes, list[Half]]:
    found: dict[bytes, list[Half]] = defaultdict(list)
    for half in halves:
        found[half.trace_id].append(half)
    return found


def halves_from(message: HalvesMessage, wanted: set[HalfKey] | None = None) -> Halves:
    """The inverse of one of `halves_messages`; with `wanted`, only the halves of these keys."""
    trace_ids = [message.trace_ids[i : i + 16] for i in range(0, len(message.trace_ids), 16)]
    callers = zip(
        _repeated(trace_ids, message.caller_counts),
        _CALLER.iter_unpack(message.callers),
        strict=True,
    )
    callees = zip(
        _repeated(trace_ids, message.callee_counts),
        _CALLEE.iter_unpack(message.callees),
        strict=True,
    )
    caller_profiles = [(p.service, p.peer, p.kind, p.error) for p in message.caller_profiles]
    callee_profiles = [(p.service, p.kind, p.error) for p in message.callee_profiles]
    minutes = list(message.minutes)
    return Halves(
        {
            Caller(trace_id, span_id, *(*caller_profiles[profile], minutes[minute], bucket))
            for trace_id, (span_id, profile, minute, bucket) in callers
            if wanted is None or (trace_id, span_id) in wanted
        },
        {
            Callee(trace_id, span_id, own, *(*callee_profiles[profile], bucket))
            for trace_id, (span_id, own, profile, bucket) in callees
            if wanted is None or (trace_id, span_id) in wanted
        },
    )


def _repeated(trace_ids: Iterable[bytes], counts: Iterable[int]) -> Iterator[bytes]:
    for trace_id, count in zip(trace_ids, counts, strict=True):
        for _ in range(count):
            yield trace_id


def keys_of(halves: Halves) -> set[HalfKey]:
    """The keys under which these halves may find others."""
    return {(half.trace_id, half.span_id) for part in halves for half in part}
