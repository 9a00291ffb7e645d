"""Half-edges: what one span knows of a call whose other side is another span, perhaps in another message.

    Halves(callers, callees) ──halves_messages──▶ HalvesMessage ──halves_from──▶ Halves

docs/item-layout.md gives the bytes; `store/half_edges.py` says which spans make halves.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from chalicelib.model.clew_pb2 import Halves as HalvesMessage
from chalicelib.model.frame import reading

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    _Records = Iterator[tuple[bytes, tuple[Any, ...]]]
    """(Trace id, record)."""

CALLER = struct.Struct("<8sHHh")
"""Span id, caller profile, minute (index), duration bucket."""
CALLEE = struct.Struct("<8sIHh")
"""Span id looked for, CRC-32 of the own span id, callee profile, duration bucket."""
_MESSAGE_HALVES_MAX = 10_000
_MESSAGE_BYTES_MAX = 200_000

Key = TypeVar("Key")


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
"""Service, peer, kind and whether it failed, of a Caller."""
CalleeProfile = tuple[str, int, bool]
"""Service, kind and whether it failed, of a Callee."""
HalfKey = tuple[bytes, bytes]
"""Trace id and span id of the caller: what both halves of a call have in common."""


class Halves(NamedTuple):
    callers: set[Caller]
    callees: set[Callee]


class Places(dict[Key, int]):
    """Distinct value → its place, in the order in which they are first asked for."""

    def __missing__(self, key: Key) -> int:
        found = self[key] = len(self)
        return found


class Row(NamedTuple):
    """Halves of one trace, each packed as CALLER or CALLEE says."""

    trace_id: bytes
    callers: Sequence[bytes]
    callees: Sequence[bytes]


class HalfRows:
    """Half-edges as they are stored: rows by trace, and the tables in which their records name places."""

    def __init__(self) -> None:
        self.caller_profiles: Places[CallerProfile] = Places()
        self.callee_profiles: Places[CalleeProfile] = Places()
        self.minutes: Places[int] = Places()
        self.rows: list[Row] = []

    def add(self, callers: Iterable[Caller], callees: Iterable[Callee]) -> None:
        by_trace: dict[bytes, tuple[list[bytes], list[bytes]]] = defaultdict(lambda: ([], []))
        for caller in callers:
            profile, minute = self.caller_profiles[caller[2:6]], self.minutes[caller.minute]
            record = CALLER.pack(caller.span_id, profile, minute, caller.bucket)
            by_trace[caller.trace_id][0].append(record)
        for callee in callees:
            profile = self.callee_profiles[callee[3:6]]
            record = CALLEE.pack(callee.span_id, callee.own, profile, callee.bucket)
            by_trace[callee.trace_id][1].append(record)
        self.rows += [Row(trace_id, *packed) for trace_id, packed in by_trace.items()]

    def message(self, rows: Sequence[Row]) -> HalvesMessage:
        """Of some of the rows, with all tables."""
        return HalvesMessage(
            caller_profiles=[
                HalvesMessage.CallerProfile(service=service, peer=peer, kind=kind, error=error)
                for service, peer, kind, error in self.caller_profiles
            ],
            callee_profiles=[
                HalvesMessage.CalleeProfile(service=service, kind=kind, error=error)
                for service, kind, error in self.callee_profiles
            ],
            minutes=list(self.minutes),
            trace_ids=b"".join([row.trace_id for row in rows]),
            caller_counts=[len(row.callers) for row in rows],
            callee_counts=[len(row.callees) for row in rows],
            callers=b"".join(chain.from_iterable([row.callers for row in rows])),
            callees=b"".join(chain.from_iterable([row.callees for row in rows])),
        )

    def messages(self) -> Iterator[HalvesMessage]:
        """As few as keep each below 200 KB, so that it fits an item."""
        if self.message(()).ByteSize() > _MESSAGE_BYTES_MAX // 2:
            # Each would have these tables: with so many names it is to have only those that it needs.
            yield from halves_messages(halves_from(self.message(self.rows)))
        elif self.rows:
            yield from self._bounded_messages(self.rows)

    def _bounded_messages(self, rows: Sequence[Row]) -> Iterator[HalvesMessage]:
        message = self.message(rows)
        count = sum(message.caller_counts) + sum(message.callee_counts)
        if count <= _MESSAGE_HALVES_MAX and message.ByteSize() <= _MESSAGE_BYTES_MAX:
            yield message
        elif len(rows) > 1:
            middle = len(rows) // 2
            yield from self._bounded_messages(rows[:middle])
            yield from self._bounded_messages(rows[middle:])
        else:
            yield from halves_messages(halves_from(message))


def halves_messages(halves: Halves) -> Iterator[HalvesMessage]:
    """Equal halves as equal messages: as few as keep each below 200 KB."""
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
    rows = HalfRows()
    rows.add(callers, callees)
    message = rows.message(rows.rows)
    count = len(callers) + len(callees)
    if message.ByteSize() > _MESSAGE_BYTES_MAX and count > 1:
        middle = count // 2
        yield from _bounded_messages(*_sliced(callers, callees, 0, middle))
        yield from _bounded_messages(*_sliced(callers, callees, middle, count))
    else:
        yield message


@reading("half-edges")
def halves_from(message: HalvesMessage, wanted: set[HalfKey] | None = None) -> Halves:
    """The inverse of one of `halves_messages`; with `wanted`, only the halves of these keys.

    Raises StoreError for damaged ones.
    """
    wanted_traces = None if wanted is None else {trace_id for trace_id, _ in wanted}
    caller_profiles = [(p.service, p.peer, p.kind, p.error) for p in message.caller_profiles]
    callee_profiles = [(p.service, p.kind, p.error) for p in message.callee_profiles]
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


@reading("half-edges")
def keys_in(message: HalvesMessage) -> set[HalfKey]:
    """The keys under which the halves of a message may find others. Raises StoreError for damaged ones."""
    both = chain(_callers_in(message, None), _callees_in(message, None))
    return {(trace_id, record[0]) for trace_id, record in both}


def _callers_in(message: HalvesMessage, wanted_traces: set[bytes] | None) -> _Records:
    return _records(message, message.caller_counts, CALLER, message.callers, wanted_traces)


def _callees_in(message: HalvesMessage, wanted_traces: set[bytes] | None) -> _Records:
    return _records(message, message.callee_counts, CALLEE, message.callees, wanted_traces)


def _records(
    message: HalvesMessage,
    counts: Sequence[int],
    form: struct.Struct,
    packed: bytes,
    wanted: set[bytes] | None,
) -> _Records:
    """Of all traces, or of those that are wanted: a minute's are few of all that wait."""
    trace_ids = _trace_ids(message)
    if sum(counts) * form.size != len(packed) or len(counts) != len(trace_ids):
        raise ValueError(f"{len(packed)} bytes are not {sum(counts)} halves of {form.size}")
    if wanted is None:
        ids = chain.from_iterable(map(repeat, trace_ids, counts))
        return zip(ids, form.iter_unpack(packed), strict=True)
    return _wanted_records(zip(trace_ids, counts, strict=True), form, packed, wanted)


def trace_ids_in(message: HalvesMessage) -> frozenset[bytes]:
    """The traces that a message has halves of."""
    return frozenset(_trace_ids(message))


def _trace_ids(message: HalvesMessage) -> list[bytes]:
    joined = message.trace_ids
    return [joined[i : i + 16] for i in range(0, len(joined), 16)]


def _wanted_records(
    counts: Iterable[tuple[bytes, int]], form: struct.Struct, packed: bytes, wanted: set[bytes]
) -> _Records:
    place = 0
    for trace_id, count in counts:
        end = place + count * form.size
        if trace_id in wanted:
            yield from zip(repeat(trace_id), form.iter_unpack(packed[place:end]), strict=False)
        place = end


def keys_of(halves: Halves) -> set[HalfKey]:
    """The keys under which these halves may find others."""
    return {(half.trace_id, half.span_id) for part in halves for half in part}
