"""Jaeger's tags: a search looks for them on a span, its resource, scope, events and links; all of them on one span.

A tag of which OpenTelemetry has a field (status, scope, trace state) is looked for there too: it is shown as a tag.
Source: jaeger, internal/storage/v2/memory/tenant.go (validSpan).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SpanMessage

from chalicelib.model.attribute import EVENT_KEY, key_and_text
from chalicelib.model.span import STATUS_OK, link_attributes_in
from chalicelib.query.search import Conditions, WantedAttribute

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from chalicelib.model.span import Span
    from chalicelib.query.parameters import Search
    from chalicelib.store.search_row import SearchRow

Tag = tuple[str, str]
Pair = tuple[bytes, bytes]

_ERROR = "error"
_STATUS_KEYS = ("otel.status_code", "span.status")
_FIELD_KEYS = frozenset(
    [
        *(_ERROR, *_STATUS_KEYS, "otel.status_description", "w3c.tracestate"),
        *("otel.scope.name", "otel.scope.version", "scope.name", "scope.version"),
    ]
)
"""Jaeger's first storage and its second spell the scope and the status differently."""
_ERROR_PAIRS = ((b"error", b"true"), *((key.encode(), b"ERROR") for key in _STATUS_KEYS))


class TagConditions:
    """A search's own conditions, and tags, on one span."""

    def __init__(self, search: Search, tags: Sequence[Tag]) -> None:
        self._others = Conditions(search)
        self._wanted = [_wanted(tag) for tag in tags]
        self._pairs = {each.pair for each in self._wanted}
        self._doubles = [each for each in self._wanted if each.double]
        self._may_be_fields = set(filter(_may_be_field, self._pairs))

    def want_service(self, service: str) -> bool:
        return self._others.want_service(service)

    def may_be_in(self, row: SearchRow) -> bool:
        if not self._others.may_be_in(row):
            return False
        only_longest = self._others.asks_for_longest(row)
        return all(_may_be_in(row, each, only_longest=only_longest) for each in self._wanted)

    def are_met_by(self, spans: Sequence[Span]) -> bool:
        return any(self._others.met_by(span) and self._has_tags(span) for span in spans)

    def _has_tags(self, span: Span) -> bool:
        # What is cheap to see comes first.
        scope = span.scope
        attributes = (*span.attributes, *scope.resource_attributes, *scope.attributes)
        left = self._pairs.difference(map(key_and_text, attributes))
        if left:
            left.difference_update(_event_pairs(span))
        if left and span.raw_links:
            left.difference_update(map(key_and_text, link_attributes_in(span.raw_links)))
        if left and self._doubles:
            attributes = (*attributes, *_attributes_of_parts(span))
            left -= {each.pair for each in self._doubles if each.is_double_of(attributes)}
        if not left or not left.issubset(self._may_be_fields):
            return not left
        return left.issubset(_fields(span))


def _wanted(tag: Tag) -> WantedAttribute:
    key, text = tag
    # People write `True`, and `error` for the status.
    if key == _ERROR:
        text = text.lower()
    elif key in _STATUS_KEYS:
        text = text.upper()
    return WantedAttribute.of(key, text)


def _may_be_field(pair: Pair) -> bool:
    return pair[0].decode() in _FIELD_KEYS


def _may_be_in(row: SearchRow, wanted: WantedAttribute, *, only_longest: bool) -> bool:
    # Older rows know not of all, and none knows of fields but of errors.
    if not row.has_all_hashes or wanted.may_be_in(row, only_longest=only_longest):
        return True
    has_error = row.longest_has_error if only_longest else row.has_error
    return _may_be_field(wanted.pair) and (has_error or wanted.pair not in _ERROR_PAIRS)


def _event_pairs(span: Span) -> Iterator[Pair]:
    for name, attributes in span.events:
        yield EVENT_KEY, name.encode()
        yield from map(key_and_text, attributes)


def _attributes_of_parts(span: Span) -> Iterator[bytes]:
    """The attributes of a span's events and links, as KeyValue wire bytes."""
    for _, attributes in span.events:
        yield from attributes
    yield from link_attributes_in(span.raw_links)


def _fields(span: Span) -> set[Pair]:
    message = SpanMessage.FromString(span.raw)
    scope = ScopeSpans.FromString(span.scope.scope_head).scope
    unset_or_ok = "OK" if message.status.code == STATUS_OK else "UNSET"
    status = "ERROR" if span.is_error else unset_or_ok
    texts = {
        _ERROR: "true" if span.is_error else "false",
        **dict.fromkeys(_STATUS_KEYS, status),
        "otel.status_description": message.status.message,
        "w3c.tracestate": message.trace_state,
        "otel.scope.name": scope.name,
        "otel.scope.version": scope.version,
        "scope.name": scope.name,
        "scope.version": scope.version,
    }
    return {(key.encode(), text.encode()) for key, text in texts.items()}
