"""Half-edges: what one span knows of a call whose other side is another span, perhaps in another message.

    Halves(callers, callees) ──halves_messages──▶ HalvesMessage ──halves_from──▶ Halves

docs/item-layout.md gives the bytes; `consume/half_edges.py` says which spans make halves.
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections import defaultdict
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from chalicelib.model.batched import batched_by_size
from chalicelib.model.clew_pb2 import Halves as HalvesMessage
from chalicelib.model.edges import EdgeKind
from chalicelib.model.frame import reading

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence, Set

    _Records = Iterator[tuple[bytes, tuple[Any, ...]]]
    """(Trace id, record)."""

CALLER = struct.Struct("<8sHHh")
"""Span id, caller profile, minute (index), duration bucket."""
CALLEE = struct.Struct("<8sIHh")
"""Span id looked for, CRC-32 of the own span id, callee profile, duration bucket."""
_MESSAGE_HALVES_MAX = 10_000
_MESSAGE_BYTES_MAX = 200_000

PARENT_KINDS = (int(EdgeKind.RPC), int(EdgeKind.PARENT))
"""The kinds of callers that are the parents of a callee, and neither CLIENT nor PRODUCER: they say whether Zipkin's
linker would link them to a server or client below them (any but a root without kind), or not."""
CHILD_KINDS = (int(EdgeKind.EXTERNAL), int(EdgeKind.PARENT))
"""The kinds of callees that are the children of a caller, and neither SERVER nor CONSUMER: CLIENT (Zipkin's linker
takes its service for the callee), or any other."""
ROOT_KIND = int(EdgeKind.DATABASE)
"""The kind of a callee that is a SERVER without a parent, which looks for its own id: a client may share it."""

Key = TypeVar("Key")


class Caller(NamedTuple):
    trace_id: bytes
    span_id: bytes
    service: str
    peer: str
    """The virtual name of whom it calls, until a callee is found; empty for none."""
    kind: int
    """EdgeKind under that name; of a span that stands for no call itself, one of PARENT_KINDS."""
    is_error: bool
    minute: int
    """The minute of the caller's start, since the epoch: the edge counts there."""
    bucket: int
    """The histogram bucket of the caller's duration: an edge's latency is the caller's."""


class Callee(NamedTuple):
    trace_id: bytes
    span_id: bytes
    """The id of the span that the callee looks for."""
    own: int
    """CRC-32 of its own span id: two callees of one call stay two, one that came twice stays one."""
    service: str
    kind: int
    """EdgeKind: RPC or MESSAGING; ROOT_KIND; of a span that was not called, as far as its kind says, of CHILD_KINDS."""
    is_error: bool
    bucket: int
    """The histogram bucket of the callee's duration: the edge's latency where the caller's is not known."""


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
        """A message of some of the rows, with all tables."""
        return self.message_of(
            [row.trace_id for row in rows],
            [b"".join(row.callers) for row in rows],
            [b"".join(row.callees) for row in rows],
        )

    def message_of(
        self, trace_ids: Sequence[bytes], callers: Sequence[bytes], callees: Sequence[bytes]
    ) -> HalvesMessage:
        """A message of these traces' records, with all tables."""
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
            trace_ids=b"".join(trace_ids),
            caller_counts=[len(records) // CALLER.size for records in callers],
            callee_counts=[len(records) // CALLEE.size for records in callees],
            callers=b"".join(callers),
            callees=b"".join(callees),
        )

    def messages(self) -> Iterator[HalvesMessage]:
        """Messages as few as keep each below 200 KB, so that it fits an item."""
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


def traces_of(keys: Iterable[HalfKey]) -> set[bytes]:
    """The trace ids of keys."""
    return {trace_id for trace_id, _ in keys}


def halves_messages(halves: Halves) -> Iterator[HalvesMessage]:
    """Equal halves as equal messages: as few as keep each below 200 KB."""
    callers, callees = sorted(halves.callers), sorted(halves.callees)
    for start in range(0, len(callers) + len(callees), _MESSAGE_HALVES_MAX):
        yield from _bounded_messages(*_sliced(callers, callees, start, start + _MESSAGE_HALVES_MAX))


def _sliced(
    callers: Sequence[Caller], callees: Sequence[Callee], start: int, end: int
) -> tuple[Sequence[Caller], Sequence[Callee]]:
    """The part from `start` to before `end` of callers and callees in a row."""
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
def halves_from(
    message: HalvesMessage,
    wanted: set[HalfKey] | None = None,
    wanted_traces: Set[bytes] | None = None,
) -> Halves:
    """The inverse of one of `halves_messages`; with `wanted`, only the halves of these keys.

    `wanted_traces`, if they are known, are the traces of these keys that the message has. Raises StoreError for damaged
    ones.
    """
    if wanted is not None and wanted_traces is None:
        wanted_traces = traces_of(wanted)
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
def callees_by_key(message: HalvesMessage) -> list[tuple[HalfKey, CalleeProfile, int]]:
    """Key, profile and `own` of every callee. Raises StoreError for damaged ones."""
    profiles = _callee_profiles(message)
    return [
        ((trace_id, span_id), profiles[profile], own)
        for trace_id, (span_id, own, profile, _) in _callees_in(message, None)
    ]


@reading("half-edges")
def keys_in(
    message: HalvesMessage, wanted_traces: Set[bytes] | None = None
) -> tuple[set[HalfKey], set[tuple[HalfKey, int]]]:
    """The callers' keys; the callees' keys and `own`s; of these traces. Raises StoreError for damaged ones."""
    return (
        {(trace_id, span_id) for trace_id, (span_id, *_) in _callers_in(message, wanted_traces)},
        {
            ((trace_id, span_id), own)
            for trace_id, (span_id, own, *_) in _callees_in(message, wanted_traces)
        },
    )


def merged_halves(messages: Iterable[HalvesMessage]) -> Iterator[HalvesMessage]:
    """The same halves in as few messages as keep each below 200 KB. Raises StoreError for damaged ones."""
    return map(_merged, batched_by_size(messages, lambda each: each.ByteSize(), _MESSAGE_BYTES_MAX))


@reading("half-edges")
def _merged(messages: Sequence[HalvesMessage]) -> HalvesMessage:
    if len(messages) == 1:
        return messages[0]
    merged = HalfRows()
    callers: dict[bytes, list[bytes]] = defaultdict(list)
    callees: dict[bytes, list[bytes]] = defaultdict(list)
    for message in messages:
        profiles = [merged.caller_profiles[each] for each in _caller_profiles(message)]
        minutes = [merged.minutes[each] for each in message.minutes]
        packed = _with_fields(message.callers, CALLER, {4: profiles, 5: minutes})
        for trace_id, part in _parts(message, message.caller_counts, CALLER, packed):
            callers[trace_id].append(part)
        profiles = [merged.callee_profiles[each] for each in _callee_profiles(message)]
        packed = _with_fields(message.callees, CALLEE, {6: profiles})
        for trace_id, part in _parts(message, message.callee_counts, CALLEE, packed):
            callees[trace_id].append(part)
    trace_ids = sorted(callers.keys() | callees.keys())
    return merged.message_of(
        trace_ids,
        [_united(callers[trace_id], CALLER) for trace_id in trace_ids],
        [_united(callees[trace_id], CALLEE) for trace_id in trace_ids],
    )


def _with_fields(packed: bytes, form: struct.Struct, tables: dict[int, list[int]]) -> bytes:
    """Records of which each 16-bit field at one of these places is looked up in a table."""
    fields = array("H", packed)
    if sys.byteorder == "big":
        fields.byteswap()
    for place, table in tables.items():
        column = slice(place, None, form.size // fields.itemsize)
        fields[column] = array("H", [table[each] for each in fields[column]])
    if sys.byteorder == "big":
        fields.byteswap()
    return fields.tobytes()


def _united(parts: Sequence[bytes], form: struct.Struct) -> bytes:
    """The records of a trace's parts, each once."""
    if len(parts) <= 1:
        return b"".join(parts)
    size = form.size
    records = {part[i : i + size] for part in parts for i in range(0, len(part), size)}
    return b"".join(sorted(records))


def _callers_in(message: HalvesMessage, wanted_traces: Set[bytes] | None) -> _Records:
    return _records(message, message.caller_counts, CALLER, message.callers, wanted_traces)


def _callees_in(message: HalvesMessage, wanted_traces: Set[bytes] | None) -> _Records:
    return _records(message, message.callee_counts, CALLEE, message.callees, wanted_traces)


def _records(
    message: HalvesMessage,
    counts: Sequence[int],
    form: struct.Struct,
    packed: bytes,
    wanted: Set[bytes] | None,
) -> _Records:
    """The records of all traces, or of the wanted ones: those of a minute are few among all that wait."""
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
