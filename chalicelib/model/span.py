"""Spans as storing sees them: a few decoded fields beside the span's own wire bytes.

    payload (TracesData) ──spans_of──▶ Span(…, raw, scope=Scope(service, heads, …))

Nothing that is only carried along is decoded: attributes stay KeyValue bytes until someone asks for one.

The spans of a scope are parsed all at once. Their bytes, one after the other, are a message too: one whose every field
is repeated, a column of the fields of all of them. Between the spans stand values that none of them can have, so that
it is known whose a value is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import chain, repeat, starmap
from operator import sub
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from chalicelib.model.attribute import texts_of
from chalicelib.model.names import key_name
from chalicelib.model.shadow_pb2 import Event as ShadowEvent
from chalicelib.model.shadow_pb2 import Link as ShadowLink
from chalicelib.model.shadow_pb2 import Resource as ShadowResource
from chalicelib.model.shadow_pb2 import (
    ResourceSpans,
    ScopeSpans,
    SpanColumns,
    Status,
    TracesData,
)
from chalicelib.model.wire import Prefixes, field

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

UNSPECIFIED, INTERNAL, SERVER, CLIENT, PRODUCER, CONSUMER = range(6)
"""OTLP's numbers of the span kinds."""
CALLER_KINDS, CALLEE_KINDS = (CLIENT, PRODUCER), (SERVER, CONSUMER)
KIND_NAMES = ("unspecified", "internal", "server", "client", "producer", "consumer")
STATUS_OK, STATUS_ERROR = 1, 2
NO_PARENT = bytes(8)
"""What some senders write for no parent."""
UNKNOWN_SERVICE = "unknown_service"
"""OpenTelemetry's own fallback for a resource without `service.name`."""

_FLAGS_REMOTE_KNOWN_AND_TRUE = 0x300
"""Span.flags: bit 8 says that bit 9, the parent is remote, is known."""
_SERVICE_NAME = b"service.name"
_span_prefixes = Prefixes(2)
_LINKS_PER_SPAN_MAX = 128
"""OpenTelemetry SDKs' default limit; the rest of a span's links join no edge, and no search finds them."""

_NO_BYTES = b"\xff"
"""No name (it is not UTF-8), no parent's id, and no message: no span that `receive` has accepted has it as a field."""
_NO_KIND, _NO_TIME, _NO_FLAGS = (1 << 31) - 1, (1 << 64) - 1, (1 << 32) - 1
"""A span may have these: then it is parsed alone."""
_BETWEEN = SpanColumns(
    parent_span_id=[_NO_BYTES],
    name=[_NO_BYTES],
    kind=[_NO_KIND],
    start_time_unix_nano=[_NO_TIME],
    end_time_unix_nano=[_NO_TIME],
    attributes=[_NO_BYTES],
    events=[_NO_BYTES],
    links=[_NO_BYTES],
    status=[_NO_BYTES],
    flags=[_NO_FLAGS],
).SerializeToString()
"""What is put between one span's bytes and the next's. Each span has its ids: they need none."""
_PARSED_AT_ONCE_MAX = 256
"""Spans: more of them leave the processor's cache before they are looked at."""

Value = TypeVar("Value", bytes, int)


class Scope(NamedTuple):
    """What the spans of one ScopeSpans share; equal ones of a group are one object."""

    service: str
    service_key: str
    """The same, as `key_name` bounds it."""
    resource_attributes: frozenset[bytes]
    resource_head: bytes
    """The fields of ResourceSpans other than scope_spans, encoded."""
    scope_head: bytes
    """The fields of ScopeSpans other than spans, encoded."""


class Span(NamedTuple):
    trace_id: bytes
    span_id: bytes
    parent_span_id: bytes
    """Empty for none; an all-zero one, which some senders write, is made empty."""
    name: str
    kind: int
    start_time_unix_nano: int
    duration_nano: int
    """0 where the end lies before the start."""
    is_error: bool
    is_entry: bool
    """As the function `is_entry` says."""
    scope: Scope
    raw: bytes
    """The Span message's own wire bytes."""
    attributes: Sequence[bytes]
    """KeyValue wire bytes."""
    raw_events: Sequence[bytes]
    """Event wire bytes."""
    raw_links: Sequence[bytes]
    """Link wire bytes."""

    @property
    def events(self) -> list[tuple[str, Sequence[bytes]]]:
        """(Name, attributes as KeyValue wire bytes) of each event."""
        parsed = map(ShadowEvent.FromString, self.raw_events)
        return [(event.name, event.attributes) for event in parsed]

    @property
    def links(self) -> list[tuple[bytes, bytes]]:
        """(trace id, span id) of the first links that have well-formed ids."""
        parsed = map(ShadowLink.FromString, self.raw_links[:_LINKS_PER_SPAN_MAX])
        return [
            (link.trace_id, link.span_id)
            for link in parsed
            if len(link.trace_id) == 16 and len(link.span_id) == 8
        ]


Traces = Mapping[bytes, Sequence[Span]]
"""Trace id → its spans: what storing works on, for what a trace shares is then computed once."""


class Scopes:
    """Interns scopes, so that spans of one resource that came in several messages meet again."""

    def __init__(self) -> None:
        self._resources: dict[bytes, tuple[str, frozenset[bytes]]] = {}
        self._scopes: dict[tuple[bytes, bytes], Scope] = {}

    def scope_of(self, resource_head: bytes, resource: bytes, scope_head: bytes) -> Scope:
        found = self._scopes.get((resource_head, scope_head))
        if found is None:
            if resource_head not in self._resources:
                attributes = ShadowResource.FromString(resource).attributes
                self._resources[resource_head] = service_of(attributes), frozenset(attributes)
            service, attributes_set = self._resources[resource_head]
            found = Scope(service, key_name(service), attributes_set, resource_head, scope_head)
            self._scopes[resource_head, scope_head] = found
        return found


def service_of(attributes: Sequence[bytes]) -> str:
    """The service's name in a resource's attributes (KeyValue wire bytes)."""
    return texts_of(attributes).get(_SERVICE_NAME) or UNKNOWN_SERVICE


def scopes_of(payload: bytes, scopes: Scopes) -> Iterator[tuple[Scope, Sequence[bytes]]]:
    """Each ScopeSpans of TracesData bytes: its scope, and its spans' wire bytes."""
    for resource_bytes in TracesData.FromString(payload).resource_spans:
        resource_spans = ResourceSpans.FromString(resource_bytes)
        resource = b"".join(resource_spans.resource)
        resource_head = head_of(resource_spans.resource, resource_spans.schema_url)
        for scope_bytes in resource_spans.scope_spans:
            scope_spans = ScopeSpans.FromString(scope_bytes)
            scope_head = head_of(scope_spans.scope, scope_spans.schema_url)
            yield scopes.scope_of(resource_head, resource, scope_head), scope_spans.spans[:]


def head_of(contents: Sequence[bytes], schema_url: str) -> bytes:
    """The fields of ResourceSpans other than scope_spans, or of ScopeSpans other than spans."""
    head = field(1, b"".join(contents)) if contents else b""
    return head + field(3, schema_url.encode()) if schema_url else head


def is_entry(kind: int, parent_span_id: bytes, flags: int) -> bool:
    """Whether a span entered its service: SERVER, CONSUMER, no parent (empty), or one that is known to be remote."""
    return (
        kind in CALLEE_KINDS
        or not parent_span_id
        or flags & _FLAGS_REMOTE_KNOWN_AND_TRUE == _FLAGS_REMOTE_KNOWN_AND_TRUE
    )


def spans_of(payload: bytes, scopes: Scopes) -> Iterator[Span]:
    """Every span of TracesData bytes that `receive` has accepted, in order."""
    for scope, raws in scopes_of(payload, scopes):
        yield from _spans(raws, scope)


def spans_of_all(payloads: Iterable[bytes]) -> Iterator[Span]:
    """Every span of these, scope by scope: faster than one payload after the other, where they are small."""
    scopes = Scopes()
    raws_by_scope: dict[Scope, list[bytes]] = defaultdict(list)
    for payload in payloads:
        for scope, raws in scopes_of(payload, scopes):
            raws_by_scope[scope] += raws
    for scope, raws in raws_by_scope.items():
        yield from _spans(raws, scope)


def _spans(raws: Sequence[bytes], scope: Scope) -> Iterator[Span]:
    """The spans of a scope, from their wire bytes."""
    for start in range(0, len(raws), _PARSED_AT_ONCE_MAX):
        together = raws[start : start + _PARSED_AT_ONCE_MAX]
        try:
            yield from _parsed(together, scope)
        except _Ambiguous:
            for raw in together:
                yield from _parsed([raw], scope)


# What Span(…) comes to, at half its price: this runs for every span.
_new_span: partial[Span] = partial(tuple.__new__, Span)


class _Ambiguous(Exception):
    """Of spans that were parsed together it cannot be told whose a value is."""


def _parsed(raws: Sequence[bytes], scope: Scope) -> Iterator[Span]:
    """Spans, parsed at once. Raises _Ambiguous for more than one."""
    count = len(raws)
    columns = SpanColumns.FromString(_BETWEEN.join(raws))
    starts = _column(columns.start_time_unix_nano[:], _NO_TIME, count, 0)
    ends = _column(columns.end_time_unix_nano[:], _NO_TIME, count, 0)
    kinds = _column(columns.kind[:], _NO_KIND, count, 0)
    parents = _column(columns.parent_span_id[:], _NO_BYTES, count, b"")
    if NO_PARENT in parents:
        parents = [b"" if parent == NO_PARENT else parent for parent in parents]
    flags = _column(columns.flags[:], _NO_FLAGS, count, 0)
    return map(
        _new_span,
        zip(
            _ids(columns.trace_id[:], count),
            _ids(columns.span_id[:], count),
            parents,
            _names(_column(columns.name[:], _NO_BYTES, count, b"")),
            kinds if min(kinds) >= 0 and max(kinds) <= CONSUMER else map(_known_kind, kinds),
            starts,
            _durations(starts, ends),
            _errors(columns.status[:], count),
            # As `is_entry`: for most, their kind tells already.
            [
                kind in CALLEE_KINDS or is_entry(kind, parent, of_span)
                for kind, parent, of_span in zip(kinds, parents, flags, strict=True)
            ],
            repeat(scope, count),
            raws,
            _lists(columns.attributes[:], count),
            _lists(columns.events[:], count),
            _lists(columns.links[:], count),
            strict=True,
        ),
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


def _lists(values: list[bytes], count: int) -> Iterable[Sequence[bytes]]:
    """The values of each span: of a repeated field."""
    if len(values) == count - 1:
        return repeat((), count)
    if count == 1:
        return [tuple(values)]
    if values.count(_NO_BYTES) != count - 1:
        raise _Ambiguous
    together = (*values, _NO_BYTES)
    index = together.index
    found, start = [], 0
    for _ in range(count):
        end = index(_NO_BYTES, start)
        found.append(together[start:end])
        start = end + 1
    return found


def _names(values: list[bytes]) -> Iterator[str]:
    # Few are distinct.
    return map({value: value.decode() for value in set(values)}.__getitem__, values)


def _known_kind(kind: int) -> int:
    return kind if 0 <= kind <= CONSUMER else UNSPECIFIED


def _durations(starts: list[int], ends: list[int]) -> list[int]:
    durations = list(map(sub, ends, starts))
    return durations if min(durations) >= 0 else [max(0, duration) for duration in durations]


def _errors(values: list[bytes], count: int) -> Iterable[bool]:
    """Of the statuses' wire bytes."""
    if count == 1:
        # A message that was sent in parts is what they are together.
        values = [b"".join(values)]
    statuses = _column(values, _NO_BYTES, count, b"")
    is_error = {each: Status.FromString(each).code == STATUS_ERROR for each in set(statuses)}
    return map(is_error.__getitem__, statuses)


def by_trace(spans: Iterable[Span]) -> Traces:
    """Spans in order, as those of each trace."""
    traces: dict[bytes, list[Span]] = defaultdict(list)
    for span in spans:
        traces[span.trace_id].append(span)
    return traces


def traces_data(spans: Iterable[Span]) -> bytes:
    """TracesData bytes of these spans, grouped by resource and scope in the order of their first span."""
    resources: dict[bytes, dict[bytes, list[bytes]]] = {}
    scope: Scope | None = None
    parts: list[bytes] = []
    for span in spans:
        if span.scope is not scope:
            scope = span.scope
            scopes = resources.setdefault(scope.resource_head, {})
            parts = scopes.setdefault(scope.scope_head, [])
        raw = span.raw
        parts.append(_span_prefixes[len(raw)])
        parts.append(raw)
    return b"".join(
        [
            field(1, head + b"".join(starmap(_scope_spans, scopes.items())))
            for head, scopes in resources.items()
        ]
    )


def _scope_spans(scope_head: bytes, parts: list[bytes]) -> bytes:
    return field(2, scope_head + b"".join(parts))
