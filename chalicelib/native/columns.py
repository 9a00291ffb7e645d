"""A page of a trace as columns: what a program reads of many spans without an object for each.

    chunks ──▶ one row a span ──▶ {"strings": […], "columns": {"start": base64, …}, …}

Every binary column is base64 of a little-endian array. Texts are places in `strings`, scopes in `scopes`, attributes
in `distinct`: a trace's spans have most of these in common. docs/api.md describes each column.
"""

from __future__ import annotations

import base64
from array import array
from typing import TYPE_CHECKING, Any

from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans

from chalicelib import config
from chalicelib.errors import TooMuchAsked
from chalicelib.http.stream import Array, Object, plain
from chalicelib.model.attribute import key_and_text
from chalicelib.model.links import are_link_ids
from chalicelib.model.shadow_pb2 import (
    Event,
    Link,
    Resource,
    ResourceSpans,
    SpanAttributes,
    SpanRow,
)
from chalicelib.model.span import (
    CONSUMER,
    NO_PARENT,
    STATUS_ERROR,
    STATUS_OK,
    UNSPECIFIED,
    is_entry,
)
from chalicelib.present.otlp_json import attribute_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from chalicelib.model.span import Scope
    from chalicelib.query.trace import Page

Json = dict[str, Any]

MEDIA_TYPE = "application/vnd.clew.columns+json"
VERSION = 1
ERROR, ENTRY, OK, COPY, REVERSED, DROPPED = (1 << bit for bit in range(6))
"""Flags of a row: it failed; it entered its service; it is marked as a success; it is a copy of an earlier row; it
ends before it starts; its sender dropped attributes, events or links of it."""
EXCEPTION = 1
"""Flag of an event."""
_NO_PARENT_PLACE = -1
_EXCEPTION_TYPE = b"exception.type"
_FLAG_OF_STATUS = {STATUS_ERROR: ERROR, STATUS_OK: OK}


def streamed_columns(page: Page, *, with_attributes: bool = False) -> Object:
    """The page: rows come chunk after chunk, in the chunk's own order.

    Raises TooMuchAsked where its spans and resources have more distinct attributes than an answer can hold.
    """
    rows = _Rows(with_attributes=with_attributes)
    for chunk in page.chunks:
        for scope, raw_spans in chunk.spans:
            rows.add(scope, raw_spans)
    fields = {
        "version": VERSION,
        "trace_id": page.trace_id.hex(),
        "start_time_unix_nano": str(rows.begin),
        "next": page.next_cursor,
        "chunks": [{"key": each.key, "span_count": each.span_count} for each in page.chunks],
        **rows.json(),
    }
    return Object(fields.items())


def columns_json(page: Page, *, with_attributes: bool = False) -> Json:
    """The same, at once."""
    found: Json = plain(streamed_columns(page, with_attributes=with_attributes))
    return found


class _Places(dict[Any, int]):
    """Value → its place among the distinct ones, by first use."""

    def __missing__(self, value: Any) -> int:
        place = self[value] = len(self)
        return place


class _Rows:
    """The rows of a page, as it is put together: column by column, a scope's spans of a chunk at a time."""

    def __init__(self, *, with_attributes: bool) -> None:
        self._strings = _Places({"": 0})
        self._scopes = _Places()
        self._span_ids: list[bytes] = []
        self._parents: list[bytes] = []
        self._starts = array("Q")
        """Since the epoch, until the earliest is known."""
        self._durations = array("Q")
        self._names = array("I")
        self._scope_places = array("I")
        self._kinds = array("B")
        self._flags = array("B")
        self._status_messages = array("I")
        self._first_rows: dict[bytes, int] = {}
        """Span id → the first row with it."""
        self._same_id: dict[bytes, set[tuple[int, bytes]]] = {}
        """Span id of more than one row → scope and wire bytes of each."""
        self._raw_spans: list[bytes] = []
        self._events = _Events(self._strings)
        self._links = _Links()
        self._attributes = _Attributes() if with_attributes else None

    @property
    def begin(self) -> int:
        """The earliest start, in nanoseconds since the epoch."""
        return min(self._starts, default=0)

    def add(self, scope: Scope, raw_spans: Sequence[bytes]) -> None:
        """A row for each span of a scope."""
        first_row = len(self._starts)
        spans = list(map(SpanRow.FromString, raw_spans))
        strings = self._strings
        self._span_ids += [span.span_id for span in spans]
        parents = [span.parent_span_id for span in spans]
        self._parents += [b"" if parent == NO_PARENT else parent for parent in parents]
        self._add_times(spans)
        self._names.extend([strings[span.name] for span in spans])
        kinds = [span.kind for span in spans]
        self._kinds.extend([kind if 0 <= kind <= CONSUMER else UNSPECIFIED for kind in kinds])
        self._scope_places.extend([self._scopes[scope]] * len(spans))
        self._status_messages.extend([strings[span.status.message] for span in spans])
        self._raw_spans += raw_spans
        self._flags.extend(map(_flags, spans, self._parents[first_row:]))
        self._flag_copies(first_row)
        for row, span in enumerate(spans, start=first_row):
            if span.events:
                self._events.add(row, span.events)
            if span.links:
                self._links.add(row, span.links)
        if self._attributes is not None:
            self._attributes.add(raw_spans)

    def _add_times(self, spans: Sequence[SpanRow]) -> None:
        starts = [span.start_time_unix_nano for span in spans]
        durations = [
            span.end_time_unix_nano - start for span, start in zip(spans, starts, strict=True)
        ]
        self._starts.extend(starts)
        self._durations.extend([max(duration, 0) for duration in durations])

    def _flag_copies(self, begin: int) -> None:
        """Mark the rows from `begin` on with the same span bytes under the same scope as an earlier row."""
        first_rows = self._first_rows
        for row in range(begin, len(self._span_ids)):
            span_id = self._span_ids[row]
            first = first_rows.setdefault(span_id, row)
            if first != row:
                known = self._same_id.setdefault(span_id, {self._identity(first)})
                if self._identity(row) in known:
                    self._flags[row] |= COPY
                known.add(self._identity(row))

    def _identity(self, row: int) -> tuple[int, bytes]:
        return self._scope_places[row], self._raw_spans[row]

    def json(self) -> Json:
        begin = self.begin
        parents, foreign_ids = self._parent_places()
        # Before `strings` is written: it may still bring some.
        scopes = [self._scope(scope) for scope in self._scopes]
        found: Json = {
            "strings": list(self._strings),
            "scopes": scopes,
            "columns": {
                "span_id": _base64(b"".join(self._span_ids)),
                "parent": _base64(parents),
                "foreign_ids": _base64(b"".join(foreign_ids)),
                "start": _base64(array("Q", [start - begin for start in self._starts])),
                "duration": _base64(self._durations),
                "name": _base64(self._names),
                "scope": _base64(self._scope_places),
                "kind": _base64(self._kinds),
                "flags": _base64(self._flags),
                "status_message": _base64(self._status_messages),
            },
            "events": self._events.json(begin),
            "links": self._links.json(),
        }
        if self._attributes is not None:
            found["attributes"] = self._attributes.json(self._scopes)
        return found

    def _parent_places(self) -> tuple[array[int], Iterable[bytes]]:
        """The column of parents, and the ids in it that no row has."""
        first_rows, rows = self._first_rows, len(self._span_ids)
        foreign = _Places()
        places = array("i")
        for parent in self._parents:
            place = first_rows.get(parent) if parent else _NO_PARENT_PLACE
            places.append(rows + foreign[parent] if place is None else place)
        return places, foreign

    def _scope(self, scope: Scope) -> Json:
        instrumentation = ScopeSpans.FromString(scope.scope_head).scope
        return {
            "service": self._strings[scope.service],
            "scope_name": self._strings[instrumentation.name],
            "scope_version": self._strings[instrumentation.version],
        }


def _flags(span: SpanRow, parent_span_id: bytes) -> int:
    """All but whether it is a copy."""
    flags = ENTRY if is_entry(span.kind, parent_span_id, span.flags) else 0
    if code := span.status.code:
        flags |= _FLAG_OF_STATUS.get(code, 0)
    if span.end_time_unix_nano < span.start_time_unix_nano:
        flags |= REVERSED
    if span.dropped_attributes_count or span.dropped_events_count or span.dropped_links_count:
        flags |= DROPPED
    return flags


class _Events:
    def __init__(self, strings: _Places) -> None:
        self._strings = strings
        self._rows = array("i")
        self._times = array("Q")
        self._names = array("I")
        self._flags = array("B")

    def add(self, row: int, raw_events: Iterable[bytes]) -> None:
        for event in map(Event.FromString, raw_events):
            self._rows.append(row)
            self._times.append(event.time_unix_nano)
            self._names.append(self._strings[event.name])
            self._flags.append(EXCEPTION if _is_exception(event) else 0)

    def json(self, begin: int) -> Json:
        return {
            "row": _base64(self._rows),
            "time": _base64(array("Q", [max(time - begin, 0) for time in self._times])),
            "name": _base64(self._names),
            "flags": _base64(self._flags),
        }


def _is_exception(event: Event) -> bool:
    return event.name == "exception" or any(
        key_and_text(attribute)[0] == _EXCEPTION_TYPE
        for attribute in event.attributes
        if _EXCEPTION_TYPE in attribute
    )


class _Links:
    """The links whose ids have all their bytes: a column has room for no other."""

    def __init__(self) -> None:
        self._rows = array("i")
        self._trace_ids = bytearray()
        self._span_ids = bytearray()

    def add(self, row: int, raw_links: Iterable[bytes]) -> None:
        for link in map(Link.FromString, raw_links):
            if are_link_ids(link.trace_id, link.span_id):
                self._rows.append(row)
                self._trace_ids += link.trace_id
                self._span_ids += link.span_id

    def json(self) -> Json:
        return {
            "row": _base64(self._rows),
            "trace_id": _base64(self._trace_ids),
            "span_id": _base64(self._span_ids),
        }


class _Attributes:
    def __init__(self) -> None:
        self._distinct = _Places()
        self._counts = array("I")
        self._places = array("I")

    def add(self, raw_spans: Iterable[bytes]) -> None:
        for raw in raw_spans:
            attributes = SpanAttributes.FromString(raw).attributes[:]
            self._counts.append(len(attributes))
            self._places.extend(map(self._distinct.__getitem__, attributes))
        self._check()

    def json(self, scopes: Iterable[Scope]) -> Object:
        scope_counts, scope_places = array("I"), array("I")
        for scope in scopes:
            attributes = _resource_attributes(scope)
            scope_counts.append(len(attributes))
            scope_places.extend(map(self._distinct.__getitem__, attributes))
            self._check()
        fields = {
            "distinct": Array(map(_attribute_json, self._distinct)),
            "counts": _base64(self._counts),
            "index": _base64(self._places),
            "scope_counts": _base64(scope_counts),
            "scope_index": _base64(scope_places),
        }
        return Object(fields.items())

    def _check(self) -> None:
        if len(self._distinct) > config.TRACE_PARTS_MAX:
            raise TooMuchAsked(
                f"the page has more than {config.TRACE_PARTS_MAX} distinct attributes: ask for it without"
            )


def _attribute_json(raw: bytes) -> Json:
    return attribute_json(KeyValue.FromString(raw))


def _resource_attributes(scope: Scope) -> Sequence[bytes]:
    """KeyValue wire bytes, in their sender's order."""
    resource = b"".join(ResourceSpans.FromString(scope.resource_head).resource)
    return Resource.FromString(resource).attributes


def _base64(content: array[int] | bytes | bytearray) -> str:
    # array uses the machine's order; x86-64 and arm64, all that Lambda has, are little-endian.
    return base64.b64encode(content).decode()
