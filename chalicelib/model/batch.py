"""Spans out of wire bytes, those of a scope together: as columns, without an object for each.

    payloads ──batches_of──▶ SpanBatch(scope, trace_ids, span_ids, …)     payload ──spans_of──▶ Span …

The prefix of a span in canonical form (`canonical.py`), which has its ids, name and times, is cut off
(`span_prefix.py`). The remainders of many spans are parsed at once: protobuf messages that follow each other are one
message too, in which every field is repeated, a column of that field of all of them. A sentinel that no accepted span
can contain (NO_MESSAGE, _NO_FLAGS) is inserted between consecutive spans, so that every parsed value can be attributed
to its span by counting sentinels.

The few spans in another form are parsed one by one. So are those that earlier releases stored as their senders wrote
them; of such, messages that are still in the queue are brought to canonical form first.
"""

from __future__ import annotations

from collections import defaultdict
from functools import partial
from itertools import chain, compress, pairwise, repeat
from operator import add, attrgetter, not_
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from google.protobuf.message import DecodeError

from chalicelib.model.shadow_pb2 import Span as ShadowSpan
from chalicelib.model.shadow_pb2 import SpanColumns, Status
from chalicelib.model.span import (
    CALLEE_KINDS,
    CONSUMER,
    NO_PARENT,
    STATUS_ERROR,
    UNSPECIFIED,
    Scopes,
    Span,
    is_entry,
    is_parent_remote,
    scopes_of,
)
from chalicelib.model.span_prefix import BEGIN_BYTES, NotCanonical, span_prefixes_of
from chalicelib.model.wire import NO_MESSAGE, Prefixes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from chalicelib.model.span import Scope
    from chalicelib.model.span_prefix import SpanPrefixes

_NO_FLAGS = 77
"""The sentinel among flags: a span that has these flags is parsed by itself. (A small number costs no object.)"""
_BETWEEN = SpanColumns(
    attributes=[NO_MESSAGE], status=[NO_MESSAGE], flags=[_NO_FLAGS]
).SerializeToString()
_BETWEEN_WITH_EVENTS = (
    _BETWEEN + SpanColumns(events=[NO_MESSAGE], links=[NO_MESSAGE]).SerializeToString()
)
_fields_of_prefixes = attrgetter(
    *("trace_id", "span_id", "parent_span_id", "name", "kind"),
    *("start_time_unix_nano", "end_time_unix_nano"),
)
_TOGETHER_MAX = 256
"""Spans: more of them leave the processor's cache before they are looked at."""

Value = TypeVar("Value", bytes, int)
_prefixes = Prefixes(2)


class SpanRemainders(NamedTuple):
    """What `packed.pack` is given: the bytes of each span that are left once its ids and times are removed."""

    parents: Sequence[bytes]
    """The parents' ids as they were sent; an empty one for a span without a parent."""
    texts: Sequence[bytes]
    """Three texts a span: the tag and length of a span that consists of the other two; the trace state if there is one,
    the name and the kind, with their tags; and the rest, which follows the times."""


class Attributes(NamedTuple):
    """KeyValue wire bytes of many spans: one list, for most are asked for many at a time."""

    values: list[bytes]
    """The attributes of each span, and NO_MESSAGE after them."""
    starts: Sequence[int]
    """Where each span's begin; and where those of one more would."""

    def of_each(self) -> list[Sequence[bytes]]:
        values = tuple(self.values)
        return [values[start : end - 1] for start, end in pairwise(self.starts)]


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
    attributes: Attributes
    raw_events: Sequence[Sequence[bytes]]
    """Empty if no span has any."""
    raw_links: Sequence[Sequence[bytes]]
    """Likewise."""
    remainders: SpanRemainders | None
    """If all of them could be cut, and are going to be packed."""
    flags: Sequence[int]
    """No field of Span."""

    def spans(self) -> Iterator[Span]:
        count = len(self.raws)
        scopes = repeat(self.scope, count)
        _, *columns, raws, attributes, events, links, _, _ = self
        events, links = events or [()] * count, links or [()] * count
        of_each = attributes.of_each()
        return map(_new_span, zip(*columns, scopes, raws, of_each, events, links, strict=True))

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
    for batch in batches_in_order(payload, scopes):
        yield from batch.spans()


def batches_in_order(payload: bytes, scopes: Scopes) -> Iterator[SpanBatch]:
    """The same, in batches of one scope; of equal attributes one is kept, in `scopes`."""
    for scope, raws in scopes_of(payload, scopes):
        for start in range(0, len(raws), _TOGETHER_MAX):
            batch = _in_order(scope, raws[start : start + _TOGETHER_MAX])
            values = batch.attributes.values
            values[:] = map(scopes.attributes.setdefault, values, values)
            yield batch


def _in_order(scope: Scope, raws: Sequence[bytes]) -> SpanBatch:
    try:
        return _canonical_batch(scope, raws, to_be_packed=False)
    except NotCanonical:
        return _parsed_batch(scope, raws)


def batches_of(payloads: Iterable[bytes]) -> Iterator[SpanBatch]:
    """Every span of these, scope by scope and, in each, trace by trace.

    Spans that begin as no canonical ones do are brought to canonical form: messages of earlier releases have such.
    """
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
            yield from _batches(scope, raws[start : start + _TOGETHER_MAX])


def _batches(
    scope: Scope, raws: Sequence[bytes], *, is_canonical: bool = False
) -> Iterator[SpanBatch]:
    try:
        yield _canonical_batch(scope, raws)
    except NotCanonical:
        if not is_canonical and (canonical := _canonical(raws)) is not raws:
            yield from _batches(scope, canonical, is_canonical=True)
            return
        alike = [_is_alike(raw) for raw in raws]
        if not any(alike) or len(raws) == 1:
            yield _parsed_batch(scope, raws)
        elif all(alike):
            # One has a field again further on, in a form that is no field of a span.
            middle = len(raws) // 2
            yield from _batches(scope, raws[:middle], is_canonical=True)
            yield from _batches(scope, raws[middle:], is_canonical=True)
        else:
            yield from _batches(scope, list(compress(raws, alike)), is_canonical=True)
            yield _parsed_batch(scope, list(compress(raws, map(not_, alike))))


def _canonical(raws: Sequence[bytes]) -> Sequence[bytes]:
    # Its messages cost a cold start, and most consumers never need them.
    from chalicelib.model.canonical import canonical_spans

    return canonical_spans(raws)


def _is_alike(raw: bytes) -> bool:
    """Whether a span begins as those that are cut, and ends no earlier than it starts."""
    try:
        span_prefixes_of([raw])
    except NotCanonical:
        return False
    return True


def _canonical_batch(
    scope: Scope, raws: Sequence[bytes], *, to_be_packed: bool = True
) -> SpanBatch:
    """Raises NotCanonical."""
    of = span_prefixes_of(raws)
    columns = _columns_of_rests(of.rests)
    count = len(raws)
    parents: Sequence[bytes] = of.parents
    if NO_PARENT in parents:
        parents = [b"" if parent == NO_PARENT else parent for parent in parents]
    flags = _column(columns.flags[:], _NO_FLAGS, count, 0)
    statuses = _column(columns.status[:], NO_MESSAGE, count, b"")
    is_error = {each: Status.FromString(each).code == STATUS_ERROR for each in set(statuses)}
    return SpanBatch(
        scope,
        of.trace_ids,
        of.span_ids,
        parents,
        of.names,
        of.kinds,
        of.start_times_unix_nano,
        of.durations_nano,
        list(map(is_error.__getitem__, statuses)),
        _entries(of.kinds, parents, flags, raws),
        raws,
        _attributes(columns.attributes[:], count),
        _lists(columns.events[:], count),
        _lists(columns.links[:], count),
        _remainders_of(of) if to_be_packed else None,
        flags,
    )


def _remainders_of(prefixes: SpanPrefixes) -> SpanRemainders:
    named, rests = prefixes.named, prefixes.rests
    if states := prefixes.trace_states:
        named = [states.get(place, b"") + each for place, each in enumerate(named)]
    sizes = map(add, map(len, named), map(len, rests))
    texts = zip(map(_prefixes.__getitem__, sizes), named, rests, strict=True)
    return SpanRemainders(prefixes.parents, list(chain.from_iterable(texts)))


def _columns_of_rests(rests: Sequence[bytes]) -> SpanColumns:
    """The rests of many spans as columns. Raises NotCanonical if one has a field of its prefix again."""
    try:
        columns = SpanColumns.FromString(_BETWEEN.join(rests))
        if columns.events or columns.links:
            columns = SpanColumns.FromString(_BETWEEN_WITH_EVENTS.join(rests))
    except DecodeError:
        # A number that is written as bytes: no field of a span, but of a column.
        raise NotCanonical from None
    if any(_fields_of_prefixes(columns)):
        raise NotCanonical
    return columns


def _entries(
    kinds: Sequence[int], parents: Sequence[bytes], flags: Sequence[int], raws: Sequence[bytes]
) -> list[bool]:
    remote = {each for each in set(flags) if is_parent_remote(each)}
    return [
        kind in CALLEE_KINDS
        or not parent
        # Few come so far. They are asked themselves: a column has also what was written as bytes.
        or (of_span in remote and is_parent_remote(ShadowSpan.FromString(raw).flags))
        for kind, parent, of_span, raw in zip(kinds, parents, flags, raws, strict=True)
    ]


def _column(values: list[Value], between: Value, count: int, absent: Value) -> list[Value]:
    """A value for each span, of a field that it has at most once. Raises NotCanonical."""
    if len(values) == 2 * count - 1 and between not in (found := values[::2]):
        # So those between are where they must be: each span has one.
        return found
    if len(values) == count - 1:
        return [absent] * count
    if values.count(between) != count - 1:
        raise NotCanonical
    found, of_span = [], absent
    for value in chain(values, (between,)):
        if value == between:
            found.append(of_span)
            of_span = absent
        elif of_span is not absent:
            raise NotCanonical
        else:
            of_span = value
    return found


def _lists(values: list[bytes], count: int) -> list[Sequence[bytes]]:
    """The values of each span, of a repeated field; empty if no span has any."""
    if len(values) < count:
        return []
    return _attributes(values, count).of_each()


def _attributes(values: list[bytes], count: int) -> Attributes:
    """The attributes of `count` spans, given values with NO_MESSAGE between those of one span and of the next one."""
    values.append(NO_MESSAGE)
    index = values.index
    starts, start = [0], 0
    for _ in range(count):
        start = index(NO_MESSAGE, start) + 1
        starts.append(start)
    return Attributes(values, starts)


def _parsed_batch(scope: Scope, raws: Sequence[bytes]) -> SpanBatch:
    parsed = list(map(ShadowSpan.FromString, raws))
    parents = [b"" if span.parent_span_id == NO_PARENT else span.parent_span_id for span in parsed]
    kinds = [span.kind if 0 <= span.kind <= CONSUMER else UNSPECIFIED for span in parsed]
    return SpanBatch(
        scope,
        [span.trace_id for span in parsed],
        [span.span_id for span in parsed],
        parents,
        [span.name for span in parsed],
        kinds,
        [span.start_time_unix_nano for span in parsed],
        [max(0, span.end_time_unix_nano - span.start_time_unix_nano) for span in parsed],
        [span.status.code == STATUS_ERROR for span in parsed],
        [
            is_entry(kind, parent, span.flags)
            for kind, parent, span in zip(kinds, parents, parsed, strict=True)
        ],
        raws,
        _attributes_of(parsed),
        [tuple(span.events) for span in parsed],
        [tuple(span.links) for span in parsed],
        None,
        [span.flags for span in parsed],
    )


def _attributes_of(parsed: Iterable[ShadowSpan]) -> Attributes:
    values: list[bytes] = []
    starts = [0]
    for span in parsed:
        values += span.attributes
        values.append(NO_MESSAGE)
        starts.append(len(values))
    return Attributes(values, starts)
