"""Spans out of wire bytes, those of a scope together: as columns, without an object for each.

    payloads ──batches_of──▶ SpanBatch(scope, trace_ids, span_ids, …)     payload ──spans_of──▶ Span …

Spans that follow each other are a message too: one whose every field is repeated, a column of that field of all of
them. Between the spans stand values that none of them can have, so that it is known whose a value is.

Most spans need less. OpenTelemetry's SDKs begin each with trace id, span id, perhaps a parent, name, perhaps a kind,
and both times. Such a span is cut there, at places that can be found again, and only its rest is parsed so; what it is
cut into is also what is stored of it (`store/packed.py`).
"""

from __future__ import annotations

import struct
from collections import defaultdict
from functools import lru_cache, partial
from itertools import chain, compress, pairwise, repeat
from operator import add, not_, sub
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from chalicelib.model.shadow_pb2 import SpanColumns, Status
from chalicelib.model.span import (
    CALLEE_KINDS,
    CONSUMER,
    NO_PARENT,
    STATUS_ERROR,
    UNSPECIFIED,
    Scopes,
    Span,
    is_parent_remote,
    scopes_of,
)
from chalicelib.model.wire import Prefixes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from chalicelib.model.span import Scope

BEGIN_BYTES = 20
"""Tag, length and trace id; tag and length of the span id."""
AFTER_ID, AFTER_PARENT = 28, 38
"""Where the name is, after the span id; and with a parent's id between."""
PARENT = b'"\x08'
"""Tag and length of a parent's id."""
NAME_TAG, KIND_TAG = b"*", b"0"
START_TAG, END_TAG = b"9", b"A"
TIMES = struct.Struct("<cQcQ")
"""Start and end, each with its tag."""
_KIND = KIND_TAG[0]

_NONE = b"\xff"
"""No name (it is not UTF-8), no parent's id, and no message: no span that `receive` has accepted has it as a field."""
_NO_NUMBER = 77
"""Of a kind, a time or flags, which may be this: then a span is parsed alone. (A small one costs no object.)"""
_OF_BEGINNINGS: dict[str, Any] = {
    "parent_span_id": [_NONE],
    "name": [_NONE],
    "kind": [_NO_NUMBER],
    "start_time_unix_nano": [_NO_NUMBER],
    "end_time_unix_nano": [_NO_NUMBER],
}
_OF_RESTS: dict[str, Any] = {"attributes": [_NONE], "status": [_NONE], "flags": [_NO_NUMBER]}
_OF_FEW: dict[str, Any] = {"events": [_NONE], "links": [_NONE]}
_BETWEEN = SpanColumns(**_OF_BEGINNINGS, **_OF_RESTS, **_OF_FEW).SerializeToString()
"""What is put between one span's bytes and the next's. Each span has its ids: they need none."""
_BETWEEN_RESTS = SpanColumns(**_OF_RESTS).SerializeToString()
_BETWEEN_RESTS_WITH_EVENTS = SpanColumns(**_OF_RESTS, **_OF_FEW).SerializeToString()
_TOGETHER_MAX = 256
"""Spans: more of them leave the processor's cache before they are looked at."""

Value = TypeVar("Value", bytes, int)
_prefixes = Prefixes(2)


class Cut(NamedTuple):
    """What spans are apart from ids and times."""

    parents: Sequence[bytes]
    """As they were sent; empty for none."""
    prefixes: Sequence[bytes]
    """Tag and length of a span that has name, kind and rest alone."""
    names: Sequence[bytes]
    """Each with its tag and length, and the kind after it."""
    rests: Sequence[bytes]
    """What follows the times."""


class SpanBatch(NamedTuple):
    """Spans of one scope, column by column. Those of a trace follow each other, as a rule.

    The columns are what the fields of Span are.
    """

    scope: Scope
    trace_ids: Sequence[bytes]
    span_ids: Sequence[bytes]
    parent_span_ids: Sequence[bytes]
    names: Sequence[str]
    kinds: Sequence[int]
    start_times_unix_nano: Sequence[int]
    durations_nano: Sequence[int]
    errors: Sequence[bool]
    entries: Sequence[bool]
    raws: Sequence[bytes]
    attributes: Sequence[Sequence[bytes]]
    raw_events: Sequence[Sequence[bytes]]
    """Empty if no span has any."""
    raw_links: Sequence[Sequence[bytes]]
    """Likewise."""
    cut: Cut | None
    """If all of them are as OpenTelemetry's SDKs write them."""

    def spans(self) -> Iterator[Span]:
        count = len(self.raws)
        scopes = repeat(self.scope, count)
        _, *columns, raws, attributes, events, links, _ = self
        events, links = events or [()] * count, links or [()] * count
        return map(_new_span, zip(*columns, scopes, raws, attributes, events, links, strict=True))

    def runs(self) -> Iterator[tuple[bytes, int, int]]:
        """Trace id, and from where to before where its spans are, of each trace (again, if they are apart)."""
        ids = self.trace_ids
        ends = [place for place, (one, next_one) in enumerate(pairwise(ids), 1) if one != next_one]
        starts = [0, *ends]
        return zip(map(ids.__getitem__, starts), starts, [*ends, len(ids)], strict=True)


# What Span(…) comes to, at half its price.
_new_span: partial[Span] = partial(tuple.__new__, Span)


def spans_of(payload: bytes, scopes: Scopes) -> Iterator[Span]:
    """Every span of TracesData bytes that `receive` has accepted, in order."""
    for scope, raws in scopes_of(payload, scopes):
        for batch in _batches(scope, raws):
            yield from batch.spans()


def batches_of(payloads: Iterable[bytes]) -> Iterator[SpanBatch]:
    """Every span of these, scope by scope and, in each, trace by trace."""
    scopes = Scopes()
    begins_by_scope: dict[Scope, dict[bytes, list[bytes]]] = {}
    for payload in payloads:
        for scope, raws in scopes_of(payload, scopes):
            begins = begins_by_scope.get(scope)
            if begins is None:
                begins = begins_by_scope[scope] = defaultdict(list)
            for raw in raws:
                # Where nearly every sender has the trace id. Of others, a trace's spans may be apart.
                begins[raw[:BEGIN_BYTES]].append(raw)
    for scope, begins in begins_by_scope.items():
        raws = list(chain.from_iterable(begins.values()))
        for start in range(0, len(raws), _TOGETHER_MAX):
            yield from _cut_batches(scope, raws[start : start + _TOGETHER_MAX])


class _Unlike(Exception):
    """Not all of the spans are as OpenTelemetry's SDKs write them."""


class _Ambiguous(Exception):
    """Of spans that were parsed together it cannot be told whose a value is."""


def _cut_batches(scope: Scope, raws: Sequence[bytes]) -> Iterator[SpanBatch]:
    try:
        yield _cut_batch(scope, raws)
    except (_Unlike, _Ambiguous):
        alike = [_is_alike(raw) for raw in raws]
        if all(alike) or not any(alike):
            # All of them, if one has a field again further on.
            yield from _batches(scope, raws)
        else:
            yield from _cut_batches(scope, list(compress(raws, alike)))
            yield from _batches(scope, list(compress(raws, map(not_, alike))))


def _is_alike(raw: bytes) -> bool:
    """Whether a span is written as OpenTelemetry's SDKs do, and ends no earlier than it starts."""
    try:
        _columns_of_beginnings([raw])
    except _Unlike:
        return False
    return True


class _Beginnings(NamedTuple):
    """Of spans that are cut: what is before their rests."""

    trace_ids: list[bytes]
    span_ids: list[bytes]
    parents: list[bytes]
    named: list[bytes]
    names: Sequence[str]
    kinds: Sequence[int]
    start_times_unix_nano: Sequence[int]
    durations_nano: list[int]
    rests: list[bytes]


def _columns_of_beginnings(raws: Sequence[bytes]) -> _Beginnings:
    """Raises _Unlike."""
    span_ids: list[bytes] = []
    parents: list[bytes] = []
    named: list[bytes] = []
    times: list[bytes] = []
    rests: list[bytes] = []
    try:
        for raw in raws:
            place = AFTER_PARENT if raw[AFTER_ID:30] == PARENT else AFTER_ID
            start = place + raw[place + 1] + 2
            if raw[start] == _KIND:
                start += 2
            end = start + TIMES.size
            span_ids.append(raw[BEGIN_BYTES:AFTER_ID])
            parents.append(raw[30:place])
            named.append(raw[place:start])
            times.append(raw[start:end])
            rests.append(raw[end:])
    except IndexError:
        raise _Unlike from None
    starts, ends = _starts_and_ends(b"".join(times), len(raws))
    durations = list(map(sub, ends, starts))
    if min(durations) < 0:
        raise _Unlike
    # What few spans differ in is looked at once for all that are equal.
    begins = [raw[:BEGIN_BYTES] for raw in raws]
    trace_ids = {begin: _trace_id(begin) for begin in set(begins)}
    names_and_kinds = {each: _name_and_kind(each) for each in set(named)}
    names, kinds = zip(*map(names_and_kinds.__getitem__, named), strict=True)
    return _Beginnings(
        list(map(trace_ids.__getitem__, begins)),
        span_ids,
        parents,
        named,
        names,
        kinds,
        starts,
        durations,
        rests,
    )


def _trace_id(begin: bytes) -> bytes:
    if begin[:2] != b"\n\x10" or begin[18:] != b"\x12\x08":
        raise _Unlike
    return begin[2:18]


def _name_and_kind(named: bytes) -> tuple[str, int]:
    end = 2 + named[1]
    kind = named[end + 1] if len(named) > end else UNSPECIFIED
    # A first byte of more is a number of several.
    if named[:1] != NAME_TAG or named[1] > 127 or kind > 127:
        raise _Unlike
    return named[2:end].decode(), kind if kind <= CONSUMER else UNSPECIFIED


def _starts_and_ends(times: bytes, count: int) -> tuple[Sequence[int], Sequence[int]]:
    if (
        len(times) != count * TIMES.size
        or times[:: TIMES.size] != START_TAG * count
        or times[TIMES.size // 2 :: TIMES.size] != END_TAG * count
    ):
        raise _Unlike
    both = _struct_of_times(count).unpack(times)
    return both[::2], both[1::2]


@lru_cache(maxsize=_TOGETHER_MAX)
def _struct_of_times(count: int) -> struct.Struct:
    return struct.Struct("<" + "xQxQ" * count)


def _cut_batch(scope: Scope, raws: Sequence[bytes]) -> SpanBatch:
    """Raises _Unlike if not all are alike, _Ambiguous if one has a field of its beginning again."""
    of = _columns_of_beginnings(raws)
    columns = SpanColumns.FromString(_BETWEEN_RESTS.join(of.rests))
    if columns.events or columns.links:
        columns = SpanColumns.FromString(_BETWEEN_RESTS_WITH_EVENTS.join(of.rests))
    if any(getattr(columns, name) for name in ("trace_id", "span_id", *_OF_BEGINNINGS)):
        raise _Ambiguous
    sizes = map(add, map(len, of.named), map(len, of.rests))
    cut = Cut(of.parents, list(map(_prefixes.__getitem__, sizes)), of.named, of.rests)
    return _batch(
        scope,
        of.trace_ids,
        of.span_ids,
        of.parents,
        of.names,
        of.kinds,
        of.start_times_unix_nano,
        of.durations_nano,
        raws,
        columns,
        cut,
    )


def _batches(scope: Scope, raws: Sequence[bytes]) -> Iterator[SpanBatch]:
    """Of spans however they are written."""
    for start in range(0, len(raws), _TOGETHER_MAX):
        together = raws[start : start + _TOGETHER_MAX]
        try:
            yield _uncut_batch(scope, together)
        except _Ambiguous:
            for raw in together:
                yield _uncut_batch(scope, [raw])


def _uncut_batch(scope: Scope, raws: Sequence[bytes]) -> SpanBatch:
    """Raises _Ambiguous for more than one."""
    count = len(raws)
    columns = SpanColumns.FromString(_BETWEEN.join(raws))
    starts = _column(columns.start_time_unix_nano[:], _NO_NUMBER, count, 0)
    ends = _column(columns.end_time_unix_nano[:], _NO_NUMBER, count, 0)
    names = _column(columns.name[:], _NONE, count, b"")
    kinds = _column(columns.kind[:], _NO_NUMBER, count, 0)
    return _batch(
        scope,
        _ids(columns.trace_id[:], count),
        _ids(columns.span_id[:], count),
        _column(columns.parent_span_id[:], _NONE, count, b""),
        list(map({name: name.decode() for name in set(names)}.__getitem__, names)),
        [kind if 0 <= kind <= CONSUMER else UNSPECIFIED for kind in kinds],
        starts,
        [max(0, end - start) for start, end in zip(starts, ends, strict=True)],
        raws,
        columns,
        None,
    )


def _batch(
    scope: Scope,
    trace_ids: Sequence[bytes],
    span_ids: Sequence[bytes],
    parents: Sequence[bytes],
    names: Sequence[str],
    kinds: Sequence[int],
    starts: Sequence[int],
    durations: Sequence[int],
    raws: Sequence[bytes],
    columns: SpanColumns,
    cut: Cut | None,
) -> SpanBatch:
    """With what is the same in columns of whole spans and of rests."""
    count = len(raws)
    if NO_PARENT in parents:
        parents = [b"" if parent == NO_PARENT else parent for parent in parents]
    flags = _column(columns.flags[:], _NO_NUMBER, count, 0)
    remote = {each for each in set(flags) if is_parent_remote(each)}
    entries = [
        kind in CALLEE_KINDS or not parent or of_span in remote
        for kind, parent, of_span in zip(kinds, parents, flags, strict=True)
    ]
    return SpanBatch(
        scope,
        trace_ids,
        span_ids,
        parents,
        names,
        kinds,
        starts,
        durations,
        _errors(columns.status[:], count),
        entries,
        raws,
        _lists(columns.attributes[:], count) or [()] * count,
        _lists(columns.events[:], count),
        _lists(columns.links[:], count),
        cut,
    )


def _column(values: list[Value], between: Value, count: int, absent: Value) -> list[Value]:
    """A value for each span: of a field that it has at most once."""
    if count == 1:
        return values[-1:] or [absent]
    if len(values) == 2 * count - 1 and between not in (found := values[::2]):
        # So those between are where they must be: each span has one.
        return found
    if len(values) == count - 1:
        return [absent] * count
    return _sparse_column(values, between, count, absent)


def _sparse_column(values: list[Value], between: Value, count: int, absent: Value) -> list[Value]:
    if values.count(between) != count - 1:
        raise _Ambiguous
    found: list[Value] = []
    of_span = absent
    for value in chain(values, (between,)):
        if value == between:
            found.append(of_span)
            of_span = absent
        elif of_span is not absent:
            # Of two, it depends on the field which counts.
            raise _Ambiguous
        else:
            of_span = value
    return found


def _ids(values: list[bytes], count: int) -> list[bytes]:
    """Of a field that each span has: as many values as spans are one each."""
    if count == 1:
        return values[-1:] or [b""]
    if len(values) != count:
        raise _Ambiguous
    return values


def _lists(values: list[bytes], count: int) -> list[tuple[bytes, ...]]:
    """The values of each span, of a repeated field; empty if no span has any."""
    if not values or len(values) == count - 1:
        return []
    if count == 1:
        return [tuple(values)]
    if values.count(_NONE) != count - 1:
        raise _Ambiguous
    together = (*values, _NONE)
    index = together.index
    found, start = [], 0
    for _ in range(count):
        end = index(_NONE, start)
        found.append(together[start:end])
        start = end + 1
    return found


def _errors(values: list[bytes], count: int) -> list[bool]:
    """Of the statuses' wire bytes."""
    if count == 1:
        # A message that was sent in parts is what they are together.
        values = [b"".join(values)]
    statuses = _column(values, _NONE, count, b"")
    is_error = {each: Status.FromString(each).code == STATUS_ERROR for each in set(statuses)}
    return list(map(is_error.__getitem__, statuses))
