"""Packed spans: what a chunk holds, with the ids and times of its spans in columns.

    spans of a trace ──pack──▶ Packed(columns, texts) ──unpack──▶ TracesData bytes: each span's own, to the byte

Once a dictionary has names and attributes, ids and times are most of what a span takes, and no dictionary helps
them. So they leave the span: its trace id is the chunk's; its parent mostly is another span of the chunk, and becomes
that one's place; its start is counted from the chunk's first, and its duration stands for its end, in as few
half-bytes as the largest takes. What remains, `texts`, is compressed. docs/item-layout.md has the layout.

A span is packed if it was cut (`model/span_prefix.py`). Others stay whole. It is cut at places that can be found again,
so that packing never changes a byte of what is in canonical form.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from itertools import chain, repeat
from operator import add
from typing import TYPE_CHECKING, NamedTuple

from chalicelib.model.shadow_pb2 import ResourceSpans, ScopeSpans, TracesData
from chalicelib.model.span import head_of
from chalicelib.model.span_prefix import (
    END_TAG,
    KIND_TAG,
    NAME_TAG,
    PARENT,
    START_TAG,
    TIMES,
    TRACE_STATE_TAG,
)
from chalicelib.model.wire import Prefixes, field, varint, varint_at

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from chalicelib.model.batch import SpanBatch

ROOT, FOREIGN, WHOLE, FIRST = range(4)
"""What a span's code says of its parent: none; an id of its own in the columns; that the span is not packed; and from
FIRST on, the place of the parent's id in the columns."""
_ID_BYTES = 8
_DIGITS = 16
"""The hexadecimal digits of 64 bits. Little-endian bytes have the last digit second: its place, and each one's, is
digit ^ 1."""
_DIGITS_MAX = 15
"""The most digits of a column of times: their numbers share a byte."""

_span_prefixes = Prefixes(2)


class Run(NamedTuple):
    """Spans of a batch, all of one trace."""

    batch: SpanBatch
    start: int
    end: int
    """The place before which they end."""


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


class _TooFar(Exception):
    """Times are further apart than the columns have digits."""


def pack(runs: Sequence[Run]) -> Packed:
    """The spans of a trace (at least one), grouped by resource and scope in the order of their first run."""
    try:
        return _packed(runs)
    except _TooFar:
        return _packed([run._replace(batch=run.batch._replace(remainders=None)) for run in runs])


def _packed(runs: Sequence[Run]) -> Packed:
    ids: list[bytes] = []
    parents: list[bytes | None] = []
    starts: list[int] = []
    durations: list[int] = []
    resources: list[bytes] = []
    for resource_head, scopes in _grouped(runs).items():
        of_resource = [resource_head]
        for scope_head, of_scope in scopes.items():
            texts = [scope_head]
            for batch, start, end in of_scope:
                if remainders := batch.remainders:
                    ids += batch.span_ids[start:end]
                    parents += remainders.parents[start:end]
                    starts += batch.start_times_unix_nano[start:end]
                    durations += batch.durations_nano[start:end]
                    texts += remainders.texts[3 * start : 3 * end]
                else:
                    raws = batch.raws[start:end]
                    parents += [None] * len(raws)
                    texts += chain.from_iterable((_span_prefixes[len(raw)], raw) for raw in raws)
            of_resource.append(field(2, b"".join(texts)))
        resources.append(field(1, b"".join(of_resource)))
    codes, foreign = _codes(ids, parents)
    columns = b"".join([varint(len(parents)), *ids, *foreign, _packed_times(starts, durations)])
    return Packed(columns, codes + b"".join(resources))


def _grouped(runs: Iterable[Run]) -> dict[bytes, dict[bytes, list[Run]]]:
    """Resource head → scope head → runs."""
    resources: dict[bytes, dict[bytes, list[Run]]] = {}
    for run in runs:
        scope = run.batch.scope
        scopes = resources.setdefault(scope.resource_head, {})
        scopes.setdefault(scope.scope_head, []).append(run)
    return resources


def _codes(ids: Sequence[bytes], parents: Sequence[bytes | None]) -> tuple[bytes, list[bytes]]:
    """The codes as they are stored, and the ids of the parents that are not in the chunk."""
    code_of: dict[bytes | None, int] = dict(zip(ids, range(FIRST, FIRST + len(ids)), strict=True))
    code_of[b""], code_of[None] = ROOT, WHOLE
    codes = list(map(code_of.get, parents, repeat(FOREIGN)))
    foreign = []
    if FOREIGN in codes:
        foreign = [parent for parent in parents if parent and parent not in code_of]
    return struct.pack(_codes_format(len(codes)), *codes), foreign


def _codes_format(count: int) -> str:
    kind = "B" if count + FIRST <= 1 << 8 else "H" if count + FIRST <= 1 << 16 else "I"
    return f"<{count}{kind}"


def _packed_times(starts: Sequence[int], durations: Sequence[int]) -> bytes:
    """The first start, how many digits the columns have, and the columns: digit by digit, each of all spans."""
    if not starts:
        return b""
    count, base = len(starts), min(starts)
    start_digits = (max(starts) - base).bit_length() + 3 >> 2
    duration_digits = max(durations).bit_length() + 3 >> 2
    if max(start_digits, duration_digits) > _DIGITS_MAX:
        raise _TooFar
    distances = struct.pack(f"<{count}Q", *[start - base for start in starts]).hex()
    lengths = struct.pack(f"<{count}Q", *durations).hex()
    columns = [distances[digit ^ 1 :: _DIGITS] for digit in range(start_digits)]
    columns += [lengths[digit ^ 1 :: _DIGITS] for digit in range(duration_digits)]
    if len(columns) * count & 1:
        columns.append("0")
    head = base.to_bytes(_ID_BYTES, "little") + bytes((start_digits << 4 | duration_digits,))
    return head + bytes.fromhex("".join(columns))


def _unpacked_times(packed: bytes, count: int) -> list[bytes]:
    if not count:
        return []
    base, digit_counts = int.from_bytes(packed[:_ID_BYTES], "little"), packed[_ID_BYTES]
    columns = packed[_ID_BYTES + 1 :].hex().encode()
    start_digits = count * (digit_counts >> 4)
    distances = _numbers(columns[:start_digits], count)
    durations = _numbers(columns[start_digits:][: count * (digit_counts & 15)], count)
    starts = [base + distance for distance in distances]
    return list(
        map(TIMES.pack, repeat(START_TAG), starts, repeat(END_TAG), map(add, starts, durations))
    )


def _numbers(columns: bytes, count: int) -> tuple[int, ...]:
    """Numbers from their digits: the last of each, the one before of each …"""
    digits = bytearray(b"0") * (count * _DIGITS)
    for digit in range(len(columns) // count):
        digits[digit ^ 1 :: _DIGITS] = columns[digit * count : (digit + 1) * count]
    return struct.unpack(f"<{count}Q", bytes.fromhex(digits.decode()))


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
    begin = b"\n\x10" + trace_id + b"\x12\x08"
    rows = _Rows(begin, iter(codes), iter(ids), parents, iter(times))
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
        return PARENT + ids[code - FIRST]
    if code == FOREIGN:
        return PARENT + next(foreign)
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
        name = text[1] + 2 if text.startswith(TRACE_STATE_TAG) else 0
        # An empty name is in the text, not in the span.
        is_unnamed = text[name + 1] == 0 and text[name] == NAME_TAG[0]
        named = name + 2 if is_unnamed else name
        place = name + text[name + 1] + 2
        if text[place : place + 1] == KIND_TAG:
            place += 2
        raw = b"".join(
            (begin, next(ids), text[:name], parent, text[named:place], next(times), text[place:])
        )
        parts += (_span_prefixes[len(raw)], raw)
    return field(2, b"".join(parts))
