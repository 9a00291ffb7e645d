"""Half-edges: what one span knows of a call whose other side is another span, perhaps in another message.

    CLIENT or PRODUCER span           ──▶ Caller, found under its own span id
    SERVER or CONSUMER span           ──▶ Callee, looks for the span id of its parent; a shared one for its own
    each link of a CONSUMER span      ──▶ Callee, looks for the span id of the producer, in the producer's trace

A caller that names a database is an edge by itself: databases send no spans. docs/item-layout.md gives the bytes.
"""

from __future__ import annotations

import struct
from collections import Counter, defaultdict
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from zlib import crc32

from chalicelib.model.clew_pb2 import Halves as HalvesMessage
from chalicelib.model.edges import EdgeKind, Edges, smallest_exemplar
from chalicelib.model.frame import reading
from chalicelib.model.measure import bucket_of, measure_of
from chalicelib.model.peers import Peer, peer_of
from chalicelib.model.span import CALLEE_KINDS, CALLER_KINDS, CONSUMER, Span
from chalicelib.model.statistics import MINUTE_NANO
from chalicelib.model.zipkin import SHARED_ATTRIBUTE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    _Records = Iterator[tuple[bytes, tuple[Any, ...]]]
    """(Trace id, record)."""

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


CallerProfile = tuple[str, str, int, bool]
"""Service, peer, kind and whether it failed, as of `Caller`."""
CalleeProfile = tuple[str, int, bool]
"""Service, kind and whether it failed, as of `Callee`."""
DatabaseCall = tuple[int, str, str, bool]
"""Minute, service, the database's name, and whether it failed."""
HalfKey = tuple[bytes, bytes]
"""Trace id and span id of the caller: what both halves of a call have in common."""


class Halves(NamedTuple):
    callers: set[Caller]
    callees: set[Callee]


def halves_and_edges_of(spans: Iterable[Span]) -> tuple[Halves, dict[int, Edges]]:
    """The half-edges of these spans, and the edges (by minute) that are whole already: calls to databases."""
    callers: set[Caller] = set()
    half: tuple[Any, ...]
    callees: set[Callee] = set()
    database_calls: dict[DatabaseCall, list[tuple[int, bytes]]] = defaultdict(list)
    for span in spans:
        # Unpacked at once: this runs for every span.
        trace_id, span_id, parent, _, kind, start, duration, is_error, _, scope, _, raws, _, _ = (
            span
        )
        service = scope.service_key
        if kind in CALLER_KINDS:
            name, edge_kind = peer_of(raws) or _NO_PEER
            minute = start // MINUTE_NANO
            if edge_kind is EdgeKind.DATABASE:
                database_calls[minute, service, name, is_error].append((duration, trace_id))
            else:
                bucket = bucket_of(duration)
                half = trace_id, span_id, service, name, edge_kind, is_error, minute, bucket
                # What Caller(…) comes to, at a third of its price.
                callers.add(tuple.__new__(Caller, half))
        elif kind in CALLEE_KINDS:
            own, bucket = crc32(span_id), bucket_of(duration)
            is_consumer = kind == CONSUMER
            edge_kind = EdgeKind.MESSAGING if is_consumer else EdgeKind.RPC
            # The usual case, that of a server, apart.
            if not is_consumer and SHARED_ATTRIBUTE not in raws:
                if len(parent) == 8:
                    half = trace_id, parent, own, service, edge_kind, is_error, bucket
                    callees.add(tuple.__new__(Callee, half))
                continue
            for of_trace, caller in _callers_of(span):
                half = of_trace, caller, own, service, edge_kind, is_error, bucket
                callees.add(tuple.__new__(Callee, half))
    edges: dict[int, Edges] = defaultdict(Edges)
    for (minute, service, database, is_error), of_alike in database_calls.items():
        durations, trace_ids = zip(*of_alike, strict=True)
        measure = measure_of(durations, is_error=is_error)
        measure.duration_sum_nano = 0  # The durations of edges are not summed.
        exemplar = smallest_exemplar(trace_ids)
        edges[minute].offer((service, database, EdgeKind.DATABASE), measure, exemplar)
    return Halves(callers, callees), edges


def _callers_of(span: Span) -> set[HalfKey]:
    """Whom the called side of a call looks for."""
    callers = {(span.trace_id, span.parent_span_id)} if len(span.parent_span_id) == 8 else set()
    if SHARED_ATTRIBUTE in span.attributes:
        # Zipkin's way: both halves of a call have one id.
        callers = {(span.trace_id, span.span_id)}
    if span.kind == CONSUMER:
        callers.update(span.links)
    return callers


Profile = TypeVar("Profile", tuple[str, str, int, bool], tuple[str, int, bool], int)


def halves_messages(halves: Halves) -> Iterator[HalvesMessage]:
    """As stored: sorted; as few messages as keep each below 200 KB, so that it fits an item."""
    callers, callees = sorted(halves.callers), sorted(halves.callees)
    for start in range(0, len(callers) + len(callees), _MESSAGE_HALVES_MAX):
        yield from _bounded_messages(*_sliced(callers, callees, start, start + _MESSAGE_HALVES_MAX))


def _sliced(
    callers: Sequence[Caller], callees: Sequence[Callee], start: int, end: int
) -> tuple[Sequence[Caller], Sequence[Callee]]:
    """Of callers and callees in a row, those from `start` to before `end`."""
    count = len(callers)
    return callers[start:end], callees[max(0, start - count) : max(0, end - count)]


def _bounded_messages(
    callers: Sequence[Caller], callees: Sequence[Callee]
) -> Iterator[HalvesMessage]:
    message = _halves_message(callers, callees)
    count = len(callers) + len(callees)
    if message.ByteSize() > _MESSAGE_BYTES_MAX and count > 1:
        middle = count // 2
        yield from _bounded_messages(*_sliced(callers, callees, 0, middle))
        yield from _bounded_messages(*_sliced(callers, callees, middle, count))
    else:
        yield message


def _halves_message(callers: Sequence[Caller], callees: Sequence[Callee]) -> HalvesMessage:
    """Of sorted halves: those of a trace follow each other."""
    profile_of_callers = [half[2:6] for half in callers]
    profile_of_callees = [half[3:6] for half in callees]
    minute_of_callers = [half.minute for half in callers]
    caller_profiles = _positions(set(profile_of_callers))
    callee_profiles = _positions(set(profile_of_callees))
    minutes = _positions(set(minute_of_callers))
    callers_of = Counter([half.trace_id for half in callers])
    callees_of = Counter([half.trace_id for half in callees])
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
        caller_counts=[callers_of[trace_id] for trace_id in trace_ids],
        callee_counts=[callees_of[trace_id] for trace_id in trace_ids],
        callers=b"".join(
            [
                _CALLER.pack(half.span_id, caller_profiles[profile], minutes[minute], half.bucket)
                for half, profile, minute in zip(
                    callers, profile_of_callers, minute_of_callers, strict=True
                )
            ]
        ),
        callees=b"".join(
            [
                _CALLEE.pack(half.span_id, half.own, callee_profiles[profile], half.bucket)
                for half, profile in zip(callees, profile_of_callees, strict=True)
            ]
        ),
    )


def _positions(values: Iterable[Profile]) -> dict[Profile, int]:
    """Each distinct value → its place in ascending order."""
    return {value: place for place, value in enumerate(sorted(values))}


@reading("half-edges")
def halves_from(message: HalvesMessage, wanted: set[HalfKey] | None = None) -> Halves:
    """The inverse of one of `halves_messages`; with `wanted`, only the halves of these keys.

    Raises StoreError for damaged ones.
    """
    wanted_traces = None if wanted is None else {trace_id for trace_id, _ in wanted}
    caller_profiles = _caller_profiles(message)
    callee_profiles = _callee_profiles(message)
    minutes = list(message.minutes)
    # What Caller(…) and Callee(…) come to, at a third of their price: a fold reads thousands.
    new = tuple.__new__
    return Halves(
        {
            new(Caller, (trace_id, span_id, *caller_profiles[profile], minutes[minute], bucket))
            for trace_id, (span_id, profile, minute, bucket) in _callers_in(message, wanted_traces)
            if wanted is None or (trace_id, span_id) in wanted
        },
        {
            new(Callee, (trace_id, span_id, own, *callee_profiles[profile], bucket))
            for trace_id, (span_id, own, profile, bucket) in _callees_in(message, wanted_traces)
            if wanted is None or (trace_id, span_id) in wanted
        },
    )


def _caller_profiles(message: HalvesMessage) -> list[CallerProfile]:
    return [(each.service, each.peer, each.kind, each.error) for each in message.caller_profiles]


def _callee_profiles(message: HalvesMessage) -> list[CalleeProfile]:
    return [(each.service, each.kind, each.error) for each in message.callee_profiles]


@reading("half-edges")
def callers_by_key(
    message: HalvesMessage,
) -> list[tuple[HalfKey, tuple[CallerProfile, int, int]]]:
    """Key of every caller, and its profile, minute and bucket. Raises StoreError for damaged ones."""
    profiles, minutes = _caller_profiles(message), list(message.minutes)
    return [
        ((trace_id, span_id), (profiles[profile], minutes[minute], bucket))
        for trace_id, (span_id, profile, minute, bucket) in _callers_in(message, None)
    ]


@reading("half-edges")
def callees_by_key(message: HalvesMessage) -> list[tuple[HalfKey, CalleeProfile]]:
    """Key and profile of every callee. Raises StoreError for damaged ones."""
    profiles = _callee_profiles(message)
    return [
        ((trace_id, span_id), profiles[profile])
        for trace_id, (span_id, _, profile, _) in _callees_in(message, None)
    ]


def merged_halves(messages: Iterable[HalvesMessage]) -> Iterator[HalvesMessage]:
    """The same halves in as few messages as keep each below 200 KB. Raises StoreError for damaged ones."""
    batch: list[HalvesMessage] = []
    batch_bytes = 0
    for message in messages:
        size = message.ByteSize()
        if batch and batch_bytes + size > _MESSAGE_BYTES_MAX:
            yield _merged(batch)
            batch, batch_bytes = [], 0
        batch.append(message)
        batch_bytes += size
    if batch:
        yield _merged(batch)


@reading("half-edges")
def _merged(messages: Sequence[HalvesMessage]) -> HalvesMessage:
    """One message, without unpacking what is packed where that need not change."""
    if len(messages) == 1:
        return messages[0]
    caller_profiles = _positions(
        {each for message in messages for each in _caller_profiles(message)}
    )
    callee_profiles = _positions(
        {each for message in messages for each in _callee_profiles(message)}
    )
    minutes = _positions({each for message in messages for each in message.minutes})
    callers: dict[bytes, list[bytes]] = defaultdict(list)
    callees: dict[bytes, list[bytes]] = defaultdict(list)
    for message in messages:
        packed = _renumbered_callers(
            message.callers,
            [caller_profiles[each] for each in _caller_profiles(message)],
            [minutes[each] for each in message.minutes],
        )
        for trace_id, part in _parts(message, message.caller_counts, _CALLER, packed):
            callers[trace_id].append(part)
        packed = _renumbered_callees(
            message.callees, [callee_profiles[each] for each in _callee_profiles(message)]
        )
        for trace_id, part in _parts(message, message.callee_counts, _CALLEE, packed):
            callees[trace_id].append(part)
    trace_ids = sorted(callers.keys() | callees.keys())
    joined_callers = [_union(callers.get(trace_id, ()), _CALLER) for trace_id in trace_ids]
    joined_callees = [_union(callees.get(trace_id, ()), _CALLEE) for trace_id in trace_ids]
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
        caller_counts=[len(part) // _CALLER.size for part in joined_callers],
        callee_counts=[len(part) // _CALLEE.size for part in joined_callees],
        callers=b"".join(joined_callers),
        callees=b"".join(joined_callees),
    )


def _renumbered_callers(packed: bytes, profiles: list[int], minutes: list[int]) -> bytes:
    if _is_identity(profiles) and _is_identity(minutes):
        return packed
    return b"".join(
        [
            _CALLER.pack(span_id, profiles[profile], minutes[minute], bucket)
            for span_id, profile, minute, bucket in _CALLER.iter_unpack(packed)
        ]
    )


def _renumbered_callees(packed: bytes, profiles: list[int]) -> bytes:
    if _is_identity(profiles):
        return packed
    return b"".join(
        [
            _CALLEE.pack(span_id, own, profiles[profile], bucket)
            for span_id, own, profile, bucket in _CALLEE.iter_unpack(packed)
        ]
    )


def _is_identity(places: list[int]) -> bool:
    return places == list(range(len(places)))


def _union(parts: Sequence[bytes], form: struct.Struct) -> bytes:
    """The distinct records of a trace's parts."""
    if len(parts) <= 1:
        return b"".join(parts)
    size = form.size
    return b"".join(
        sorted({part[i : i + size] for part in parts for i in range(0, len(part), size)})
    )


def _callers_in(message: HalvesMessage, wanted_traces: set[bytes] | None) -> _Records:
    return _records(message, message.caller_counts, _CALLER, message.callers, wanted_traces)


def _callees_in(message: HalvesMessage, wanted_traces: set[bytes] | None) -> _Records:
    return _records(message, message.callee_counts, _CALLEE, message.callees, wanted_traces)


def _records(
    message: HalvesMessage,
    counts: Sequence[int],
    form: struct.Struct,
    packed: bytes,
    wanted: set[bytes] | None,
) -> _Records:
    """Of all traces, or of those that are wanted: a minute's are few of all that wait."""
    if wanted is None:
        _check(message, counts, form, packed)
        ids = chain.from_iterable(map(repeat, _trace_ids(message), counts))
        return zip(ids, form.iter_unpack(packed), strict=True)
    return chain.from_iterable(
        zip(repeat(trace_id), form.iter_unpack(part))
        for trace_id, part in _parts(message, counts, form, packed)
        if trace_id in wanted
    )


def trace_ids_in(message: HalvesMessage) -> frozenset[bytes]:
    """The traces that a message has halves of."""
    return frozenset(_trace_ids(message))


def _trace_ids(message: HalvesMessage) -> list[bytes]:
    joined = message.trace_ids
    return [joined[i : i + 16] for i in range(0, len(joined), 16)]


def _parts(
    message: HalvesMessage, counts: Sequence[int], form: struct.Struct, packed: bytes
) -> Iterator[tuple[bytes, bytes]]:
    """(Trace id, its records as they are packed), of traces that have any."""
    _check(message, counts, form, packed)
    place = 0
    for trace_id, count in zip(_trace_ids(message), counts, strict=True):
        if count:
            end = place + count * form.size
            yield trace_id, packed[place:end]
            place = end


def _check(
    message: HalvesMessage, counts: Sequence[int], form: struct.Struct, packed: bytes
) -> None:
    if sum(counts) * form.size != len(packed) or len(counts) * 16 != len(message.trace_ids):
        raise ValueError(f"{len(packed)} bytes are not {sum(counts)} halves of {form.size}")


def keys_of(halves: Halves) -> set[HalfKey]:
    """The keys under which these halves may find others."""
    return {(half.trace_id, half.span_id) for part in halves for half in part}
