"""Packed spans: what a chunk holds, with the ids and times of its spans in columns.

    spans of a trace ──pack──▶ Packed(columns, texts) ──unpack──▶ TracesData bytes: each span's own, to the byte

Once a dictionary has names and attributes, ids and times are most of what a span takes, and no dictionary helps
them. So they leave the span: its trace id is the chunk's; its parent mostly is another span of the chunk, and becomes
that one's place; its start is counted from the chunk's first, and its duration stands for its end, in as few
half-bytes as the largest takes. What remains, `texts`, is compressed. docs/item-layout.md has the layout.

A span is packed if its message begins as OpenTelemetry's SDKs write it: trace id, span id, perhaps a parent, name,
perhaps a kind, both times, of which the end is no earlier. Others stay whole. Nothing here knows what a field means:
a span is cut at places that can be found again, so that packing never changes a byte.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from functools import lru_cache
from itertools import chain
from operator import sub
from typing import TYPE_CHECKING, NamedTuple

from chalicelib.model.shadow_pb2 import ResourceSpans, ScopeSpans, TracesData
from chalicelib.model.span import head_of
from chalicelib.model.wire import Prefixes, field, varint, varint_at

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from chalicelib.model.span import SpanBatch

ROOT, FOREIGN, WHOLE, FIRST = range(4)
"""What a span's code says of its parent: none; an id of its own in the columns; that the span is not packed; and from
FIRST on, the place of the parent's id in the columns."""
_ID_BYTES = 8
_AFTER_ID, _AFTER_PARENT = 28, 38
"""Where the name is, after trace and span id, each with tag and length; and with a parent's id between."""
_PARENT = bytes((0x22, _ID_BYTES))
_KIND = 0x30
"""The tag of a span's kind, which is in the byte after it."""
_TAGS = b"\x39" + bytes(8) + b"\x41" + bytes(8)
"""Both times, each a tag and eight bytes, little-endian: a lane of the numbers that all of a chunk's times make up."""
_LANE_BYTES = len(_TAGS)
_LANE_DIGITS = 2 * _LANE_BYTES
_START_BIT, _END_BIT = 8, 80
_DIGITS_MAX = 15
"""Of a column of times, hexadecimal: a digit above them shows what is less than nothing."""
_REMEMBERED_SPANS_MAX = 256

_span_prefixes = Prefixes(2)


class Run(NamedTuple):
    """Spans of a batch, all of one trace."""

    batch: SpanBatch
    start: int
    end: int
    """Before which they end."""

    @property
    def raws(self) -> Sequence[bytes]:
        return self.batch.raws[self.start : self.end]


def runs_by_trace(batches: Iterable[SpanBatch]) -> dict[bytes, list[Run]]:
    """Trace id → its spans."""
    traces: dict[bytes, list[Run]] = defaultdict(list)
    for batch in batches:
        for trace_id, start, end in batch.runs():
            traces[trace_id].append(Run(batch, start, end))
    return traces


class Packed(NamedTuple):
    columns: bytes
    """Hardly to be compressed."""
    texts: bytes
    """A code for each span; then TracesData in which each span is what is left of it."""


class _Unfit(Exception):
    """A span is not written as the packed ones are."""


def pack(trace_id: bytes, runs: Sequence[Run]) -> Packed:
    """The spans of a trace (at least one), grouped by resource and scope in the order of their first span."""
    try:
        return _packed(trace_id, runs, ())
    except (_Unfit, IndexError, ValueError):
        pass
    # Rarely: which are unfit is found out one by one.
    begin = _begin(trace_id)
    raws = {raw for run in runs for raw in run.raws}
    unfit = {raw for raw in raws if not _is_fit(begin, raw)}
    try:
        return _packed(trace_id, runs, unfit)
    except (_Unfit, IndexError, ValueError):
        return _packed(trace_id, runs, raws)


def _packed(trace_id: bytes, runs: Sequence[Run], unfit: Collection[bytes]) -> Packed:
    begin = _begin(trace_id)
    ids: list[bytes] = []
    parents: list[bytes | None] = []
    times: list[bytes] = []
    resources: list[bytes] = []
    for resource_head, scopes in _grouped(runs).items():
        of_resource = [resource_head]
        for scope_head, raws in scopes.items():
            texts = [scope_head]
            for raw in raws:
                if unfit and raw in unfit:
                    parents.append(None)
                    texts += (_span_prefixes[len(raw)], raw)
                    continue
                if not raw.startswith(begin):
                    raise _Unfit
                place = _AFTER_PARENT if raw[28:30] == _PARENT else _AFTER_ID
                start = place + raw[place + 1] + 2
                if raw[start] == _KIND:
                    start += 2
                elif raw[start + _LANE_BYTES : start + _LANE_BYTES + 1] == b"0":
                    # Who joins it again would take what follows for the kind.
                    raise _Unfit
                end = start + _LANE_BYTES
                ids.append(raw[20:28])
                parents.append(raw[30:place])
                times.append(raw[start:end])
                texts += (
                    _span_prefixes[len(raw) - _LANE_BYTES - place],
                    raw[place:start],
                    raw[end:],
                )
            of_resource.append(field(2, b"".join(texts)))
        resources.append(field(1, b"".join(of_resource)))
    codes, foreign = _codes(ids, parents)
    columns = b"".join([varint(len(parents)), *ids, *foreign, _packed_times(times, runs, unfit)])
    return Packed(columns, codes + b"".join(resources))


def _begin(trace_id: bytes) -> bytes:
    return b"\n\x10" + trace_id + b"\x12\x08"


def _grouped(runs: Iterable[Run]) -> dict[bytes, dict[bytes, list[bytes]]]:
    """Resource head → scope head → spans' bytes."""
    resources: dict[bytes, dict[bytes, list[bytes]]] = {}
    for run in runs:
        scope = run.batch.scope
        scopes = resources.setdefault(scope.resource_head, {})
        scopes.setdefault(scope.scope_head, []).extend(run.raws)
    return resources


def _is_fit(begin: bytes, raw: bytes) -> bool:
    """Whether a span can be cut and joined again."""
    place = _AFTER_PARENT if raw[28:30] == _PARENT else _AFTER_ID
    try:
        start = place + raw[place + 1] + 2
        end = start + _LANE_BYTES
        if raw[start] == _KIND:
            start, end = start + 2, end + 2
        elif raw[end : end + 1] == b"0":
            return False
    except IndexError:
        return False
    times = raw[start:end]
    if not raw.startswith(begin) or len(times) < _LANE_BYTES:
        return False
    return (times[0], times[9]) == (_TAGS[0], _TAGS[9]) and _start_in(times) <= _end_in(times)


def _start_in(times: bytes) -> int:
    return int.from_bytes(times[1:9], "little")


def _end_in(times: bytes) -> int:
    return int.from_bytes(times[10:18], "little")


def _codes(ids: Sequence[bytes], parents: Sequence[bytes | None]) -> tuple[bytes, list[bytes]]:
    """The codes as they are stored, and the ids of the parents that are not in the chunk."""
    code_of: dict[bytes | None, int] = dict(zip(ids, range(FIRST, FIRST + len(ids)), strict=True))
    code_of[b""], code_of[None] = ROOT, WHOLE
    codes = [code_of.get(parent, FOREIGN) for parent in parents]
    foreign = []
    if FOREIGN in codes:
        foreign = [parent for parent in parents if parent and parent not in code_of]
    return struct.pack(_codes_format(len(codes)), *codes), foreign


def _codes_format(count: int) -> str:
    kind = "B" if count + FIRST <= 1 << 8 else "H" if count + FIRST <= 1 << 16 else "I"
    return f"<{count}{kind}"


class _Lanes(NamedTuple):
    """Numbers of so many lanes, by which another is multiplied, or masked, in each of them at once."""

    ones: int
    starts: int
    """Every bit of a start."""


def _new_lanes(count: int) -> _Lanes:
    ones = int.from_bytes(b"\1".ljust(_LANE_BYTES, b"\0") * count, "little")
    return _Lanes(ones, ones * ((1 << 64) - 1 << _START_BIT))


_remembered_lanes = lru_cache(maxsize=_REMEMBERED_SPANS_MAX)(_new_lanes)


def _lanes(count: int) -> _Lanes:
    return _remembered_lanes(count) if count <= _REMEMBERED_SPANS_MAX else _new_lanes(count)


def _base_lane(base: int) -> int:
    """The tags, and the chunk's first start as both times: what is taken from each lane."""
    return int.from_bytes(_TAGS, "little") + (base << _START_BIT) + (base << _END_BIT)


def _places(start_digits: int, duration_digits: int) -> list[int]:
    """Where in a lane's hexadecimal digits those of the columns are, the least first."""
    of_start = range(_START_BIT // 4, _START_BIT // 4 + start_digits)
    of_duration = range(_END_BIT // 4, _END_BIT // 4 + duration_digits)
    # A byte's high digit is written before its low one.
    return [digit ^ 1 for digit in chain(of_start, of_duration)]


def _packed_times(times: Sequence[bytes], runs: Sequence[Run], unfit: Collection[bytes]) -> bytes:
    """The first start, how many digits the columns have, and the columns: digit by digit, each of all spans."""
    count = len(times)
    if not count:
        return b""
    joined = b"".join(times)
    if len(joined) != count * _LANE_BYTES:
        raise _Unfit
    starts: list[int] = []
    longest = 0
    if unfit:
        starts = list(map(_start_in, times))
        longest = max(map(sub, map(_end_in, times), starts))
    else:
        for batch, start, end in runs:
            starts += batch.start_times_unix_nano[start:end]
            longest = max(longest, *batch.durations_nano[start:end])
    base = min(starts)
    start_digits = (max(starts) - base).bit_length() + 3 >> 2
    duration_digits = longest.bit_length() + 3 >> 2
    if max(start_digits, duration_digits) > _DIGITS_MAX:
        raise _Unfit
    ones, every_start = _lanes(count)
    number = int.from_bytes(joined, "little") - ones * _base_lane(base)
    number -= (number & every_start) << _END_BIT - _START_BIT
    start_bits, duration_bits = (1 << 4 * start_digits) - 1, (1 << 4 * duration_digits) - 1
    # Another tag, a start before the first, an end before its start: each leaves something outside the columns.
    if number != number & ones * (start_bits << _START_BIT | duration_bits << _END_BIT):
        raise _Unfit
    digits = number.to_bytes(len(joined), "little").hex()
    columns = [digits[place::_LANE_DIGITS] for place in _places(start_digits, duration_digits)]
    if len(columns) * count & 1:
        columns.append("0")
    head = base.to_bytes(_ID_BYTES, "little") + bytes((start_digits << 4 | duration_digits,))
    return head + bytes.fromhex("".join(columns))


def _unpacked_times(packed: bytes, count: int) -> list[bytes]:
    if not count:
        return []
    base, digit_counts = int.from_bytes(packed[:_ID_BYTES], "little"), packed[_ID_BYTES]
    columns = packed[_ID_BYTES + 1 :].hex().encode()
    digits = bytearray(b"0") * (count * _LANE_DIGITS)
    for number, place in enumerate(_places(digit_counts >> 4, digit_counts & 15)):
        digits[place::_LANE_DIGITS] = columns[number * count : (number + 1) * count]
    ones, every_start = _lanes(count)
    lanes = int.from_bytes(bytes.fromhex(digits.decode()), "little")
    lanes += (lanes & every_start) << _END_BIT - _START_BIT
    lanes += ones * _base_lane(base)
    size = count * _LANE_BYTES
    if lanes >> 8 * size:
        raise ValueError("times beyond all times")
    joined = lanes.to_bytes(size, "little")
    return [joined[at : at + _LANE_BYTES] for at in range(0, size, _LANE_BYTES)]


def unpack(trace_id: bytes, packed: Packed) -> bytes:
    """TracesData bytes: the spans that were packed.

    Raises ValueError, LookupError, struct.error or DecodeError for what was never packed.
    """
    columns, texts = packed
    count, at = varint_at(columns, 0)
    codes_format = _codes_format(count)
    codes = struct.unpack_from(codes_format, texts)
    packed_count = count - codes.count(WHOLE)
    ids = _ids(columns, at, packed_count)
    at += packed_count * _ID_BYTES
    foreign_count = codes.count(FOREIGN)
    foreign = iter(_ids(columns, at, foreign_count))
    at += foreign_count * _ID_BYTES
    times = _unpacked_times(columns[at:], packed_count)
    parents = iter([_parent(code, ids, foreign) for code in codes])
    rows = _Rows(_begin(trace_id), iter(codes), iter(ids), parents, iter(times))
    contents = TracesData.FromString(texts[struct.calcsize(codes_format) :]).resource_spans
    try:
        traces_data: bytes = b"".join([_resource_spans(content, rows) for content in contents])
    except StopIteration as error:
        raise ValueError("more spans than codes") from error
    if next(rows.codes, None) is not None:
        raise ValueError("more codes than spans")
    return traces_data


class _Rows(NamedTuple):
    """What is taken from the columns, span by span."""

    begin: bytes
    codes: Iterator[int]
    ids: Iterator[bytes]
    parents: Iterator[bytes]
    times: Iterator[bytes]


def _ids(columns: bytes, at: int, count: int) -> list[bytes]:
    end = at + count * _ID_BYTES
    if end > len(columns):
        raise ValueError("ids are cut short")
    return [columns[place : place + _ID_BYTES] for place in range(at, end, _ID_BYTES)]


def _parent(code: int, ids: Sequence[bytes], foreign: Iterator[bytes]) -> bytes:
    if code >= FIRST:
        return _PARENT + ids[code - FIRST]
    if code == FOREIGN:
        return _PARENT + next(foreign)
    return b""


def _resource_spans(content: bytes, rows: _Rows) -> bytes:
    message = ResourceSpans.FromString(content)
    head = head_of(message.resource, message.schema_url)
    return field(1, head + b"".join([_scope_spans(scope, rows) for scope in message.scope_spans]))


def _scope_spans(content: bytes, rows: _Rows) -> bytes:
    message = ScopeSpans.FromString(content)
    parts = [head_of(message.scope, message.schema_url)]
    begin, codes, ids, parents, times = rows
    for text in message.spans:
        code, parent = next(codes), next(parents)
        if code == WHOLE:
            parts += (_span_prefixes[len(text)], text)
            continue
        place = text[1] + 2
        if text[place : place + 1] == b"0":
            place += 2
        raw = b"".join((begin, next(ids), parent, text[:place], next(times), text[place:]))
        parts += (_span_prefixes[len(raw)], raw)
    return field(2, b"".join(parts))
