"""Spans as storing sees them: a few decoded fields beside the span's own wire bytes.

    payload (TracesData) ──scopes_of──▶ Scope(service, heads, …), spans' wire bytes ──▶ Span(…, raw, scope)

Nothing that is only carried along is decoded: attributes stay KeyValue bytes until someone asks for one. `batch.py`
makes spans of wire bytes.
"""

from __future__ import annotations

from itertools import starmap
from typing import TYPE_CHECKING, NamedTuple

from chalicelib.model.attribute import texts_of
from chalicelib.model.links import are_link_ids
from chalicelib.model.names import key_name
from chalicelib.model.shadow_pb2 import Event as ShadowEvent
from chalicelib.model.shadow_pb2 import Link as ShadowLink
from chalicelib.model.shadow_pb2 import Resource as ShadowResource
from chalicelib.model.shadow_pb2 import (
    ResourceSpans,
    ScopeSpans,
    TracesData,
)
from chalicelib.model.shadow_pb2 import Scope as ShadowScope
from chalicelib.model.wire import Prefixes, field

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

UNSPECIFIED, INTERNAL, SERVER, CLIENT, PRODUCER, CONSUMER = range(6)
"""OTLP's numbers of the span kinds."""
CALLER_KINDS, CALLEE_KINDS = (CLIENT, PRODUCER), (SERVER, CONSUMER)
KIND_NAMES = ("unspecified", "internal", "server", "client", "producer", "consumer")
STATUS_OK, STATUS_ERROR = 1, 2
NO_PARENT = bytes(8)
"""What some senders write for no parent."""
UNKNOWN_SERVICE = "unknown_service"
"""OpenTelemetry's own fallback for a resource without `service.name`."""

_FLAGS_REMOTE = 0x300
"""Span.flags: bit 8 says that bit 9, the parent is remote, is known."""
_FLAGS_LOCAL = 0x100
_SERVICE_NAME = b"service.name"
_span_prefixes = Prefixes(2)
_LINKS_PER_SPAN_MAX = 128
"""OpenTelemetry SDKs' default limit; the rest of a span's links join no edge, and no search finds them."""


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
    attributes: frozenset[bytes]
    """The scope's own, KeyValue wire bytes."""


class Carried(NamedTuple):
    """A span that is only carried along."""

    scope: Scope
    raw: bytes
    """The Span message's own wire bytes."""


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
    """What the function `is_entry` says of the span."""
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
        return events_in(self.raw_events)

    @property
    def links(self) -> list[tuple[bytes, bytes]]:
        """(trace id, span id) of the first links that have well-formed ids."""
        return links_in(self.raw_links)


def events_in(raw_events: Iterable[bytes]) -> list[tuple[str, Sequence[bytes]]]:
    """(Name, attributes as KeyValue wire bytes) of each event's wire bytes."""
    parsed = map(ShadowEvent.FromString, raw_events)
    return [(event.name, event.attributes) for event in parsed]


def links_in(raw_links: Sequence[bytes]) -> list[tuple[bytes, bytes]]:
    """(trace id, span id) of the first links that have well-formed ids, from their wire bytes."""
    parsed = map(ShadowLink.FromString, raw_links[:_LINKS_PER_SPAN_MAX])
    return [
        (link.trace_id, link.span_id)
        for link in parsed
        if are_link_ids(link.trace_id, link.span_id)
    ]


def link_attributes_in(raw_links: Sequence[bytes]) -> Iterator[bytes]:
    """Attributes, as KeyValue wire bytes, of the first links, from their wire bytes."""
    for raw in raw_links[:_LINKS_PER_SPAN_MAX]:
        yield from ShadowLink.FromString(raw).attributes


class Scopes:
    """Interns scopes, so that spans of one resource that came in several messages meet again."""

    def __init__(self) -> None:
        self.attributes: dict[bytes, bytes] = {}
        """The attributes of the spans that were made with these scopes; most of a trace are equal, and are kept
        once."""
        self._resources: dict[bytes, tuple[str, frozenset[bytes]]] = {}
        self._of_scopes: dict[bytes, frozenset[bytes]] = {}
        self._scopes: dict[tuple[bytes, bytes], Scope] = {}

    def scope_of(
        self, resource_head: bytes, resource: bytes, scope_head: bytes, scope: bytes
    ) -> Scope:
        found = self._scopes.get((resource_head, scope_head))
        if found is None:
            if scope not in self._of_scopes:
                self._of_scopes[scope] = frozenset(ShadowScope.FromString(scope).attributes)
            if resource_head not in self._resources:
                attributes = ShadowResource.FromString(resource).attributes
                self._resources[resource_head] = service_of(attributes), frozenset(attributes)
            service, attributes_set = self._resources[resource_head]
            heads = resource_head, scope_head, self._of_scopes[scope]
            found = Scope(service, key_name(service), attributes_set, *heads)
            self._scopes[resource_head, scope_head] = found
        return found


def service_of(attributes: Sequence[bytes]) -> str:
    """The service's name in a resource's attributes (KeyValue wire bytes)."""
    # Of the others, none is decoded.
    named = [raw for raw in attributes if _SERVICE_NAME in raw]
    return texts_of(named).get(_SERVICE_NAME) or UNKNOWN_SERVICE


def scopes_of(payload: bytes, scopes: Scopes) -> Iterator[tuple[Scope, Sequence[bytes]]]:
    """Each ScopeSpans of TracesData bytes: its scope, and its spans' wire bytes."""
    for resource_bytes in TracesData.FromString(payload).resource_spans:
        resource_spans = ResourceSpans.FromString(resource_bytes)
        resource = b"".join(resource_spans.resource)
        resource_head = head_of(resource_spans.resource, resource_spans.schema_url)
        for scope_bytes in resource_spans.scope_spans:
            scope_spans = ScopeSpans.FromString(scope_bytes)
            of_scope = scope_spans.scope
            scope, scope_head = b"".join(of_scope), head_of(of_scope, scope_spans.schema_url)
            yield scopes.scope_of(resource_head, resource, scope_head, scope), scope_spans.spans[:]


def head_of(contents: Sequence[bytes], schema_url: str) -> bytes:
    """The fields of ResourceSpans other than scope_spans, or of ScopeSpans other than spans."""
    head = field(1, b"".join(contents)) if contents else b""
    return head + field(3, schema_url.encode()) if schema_url else head


def is_entry(kind: int, parent_span_id: bytes, flags: int) -> bool:
    """Whether a span entered its service: SERVER, CONSUMER, no parent (empty), or one that is known to be remote."""
    return kind in CALLEE_KINDS or not parent_span_id or is_parent_remote(flags)


def is_parent_remote(flags: int) -> bool:
    """Whether a span's flags say that its parent is known to be remote."""
    return flags & _FLAGS_REMOTE == _FLAGS_REMOTE


def is_parent_local(flags: int) -> bool:
    """Whether a span's flags say that its parent is known to be of its own process."""
    return flags & _FLAGS_REMOTE == _FLAGS_LOCAL


def traces_data(spans: Iterable[Carried]) -> bytes:
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
