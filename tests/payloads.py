"""Builds TracesData payloads with OpenTelemetry's own messages."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

if TYPE_CHECKING:
    from collections.abc import Iterable

INTERNAL, SERVER, CLIENT, PRODUCER, CONSUMER = 1, 2, 3, 4, 5
NOON_UNIX_SECONDS = 1_767_268_800
"""2026-01-01T12:00:00Z: what tests call now."""
NOON_NANO = NOON_UNIX_SECONDS * 10**9
MILLI = 1_000_000


class Made(NamedTuple):
    """A span to be sent."""

    trace: int
    span: int
    service: str = "shop"
    parent: int = 0
    name: str = "GET /"
    kind: int = SERVER
    start: int = NOON_NANO
    duration: int = 10 * MILLI
    is_error: bool = False
    attributes: tuple[tuple[str, Any], ...] = ()
    links: tuple[tuple[int, int], ...] = ()
    resource: tuple[tuple[str, Any], ...] = ()
    events: tuple[tuple[str, tuple[tuple[str, str | bool], ...]], ...] = ()
    """(Name, attributes); at the start."""
    trace_state: str = ""
    scope: tuple[tuple[str, str | bool], ...] = ()
    """The scope's attributes."""
    link_attributes: tuple[tuple[str, str | bool], ...] = ()
    """Of each link."""
    flags: int = 0


def trace_id(number: int) -> bytes:
    return number.to_bytes(16, "big")


def span_id(number: int) -> bytes:
    return number.to_bytes(8, "big")


def payload(spans: Iterable[Made]) -> bytes:
    """TracesData bytes: one ResourceSpans a service and resource, in it each scope."""
    data = TracesData()
    by_resource: dict[tuple[Any, ...], list[Made]] = defaultdict(list)
    for made in spans:
        by_resource[made.service, made.resource].append(made)
    for (service, resource), of_resource in by_resource.items():
        resource_spans = data.resource_spans.add()
        set_attributes(resource_spans.resource.attributes, (("service.name", service), *resource))
        by_scope: dict[tuple[Any, ...], list[Made]] = defaultdict(list)
        for made in of_resource:
            by_scope[made.scope].append(made)
        for scope, of_scope in by_scope.items():
            scope_spans = resource_spans.scope_spans.add()
            scope_spans.scope.name = "tests"
            set_attributes(scope_spans.scope.attributes, scope)
            for made in of_scope:
                _add(scope_spans.spans, made)
    return data.SerializeToString(deterministic=True)


def _add(spans: Any, made: Made) -> None:
    span = spans.add(
        trace_id=trace_id(made.trace),
        span_id=span_id(made.span),
        trace_state=made.trace_state,
        parent_span_id=span_id(made.parent) if made.parent else b"",
        name=made.name,
        kind=made.kind,
        start_time_unix_nano=made.start,
        end_time_unix_nano=made.start + made.duration,
        flags=made.flags,
    )
    if made.is_error:
        span.status.code = 2
    set_attributes(span.attributes, made.attributes)
    for name, attributes in made.events:
        event = span.events.add(name=name, time_unix_nano=made.start)
        set_attributes(event.attributes, attributes)
    for trace, linked in made.links:
        link = span.links.add(trace_id=trace_id(trace), span_id=span_id(linked))
        set_attributes(link.attributes, made.link_attributes)


def set_attributes(attributes: Any, values: Iterable[tuple[str, Any]]) -> None:
    for key, value in values:
        attribute = attributes.add(key=key)
        if isinstance(value, bool):
            attribute.value.bool_value = value
        elif isinstance(value, int):
            attribute.value.int_value = value
        elif isinstance(value, float):
            attribute.value.double_value = value
        elif isinstance(value, bytes):
            attribute.value.bytes_value = value
        else:
            attribute.value.string_value = value
