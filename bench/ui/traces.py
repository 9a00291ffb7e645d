"""Seeded traces of any size for the browser: twelve services, calls in calls, repeated queries, errors, events."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status, TracesData

if TYPE_CHECKING:
    from collections.abc import Iterator

SERVICES = (
    *(
        "ferry-gateway",
        "berth-planner",
        "tide-table",
        "crew-roster",
        "crane-dispatch",
        "fuel-ledger",
    ),
    *("pilot-desk", "customs-mirror", "weather-relay", "cargo-weigher", "harbour-db", "quay-cache"),
)
_SPANS_PER_REQUEST = 2_000
_CHILDREN_MAX = 12
_KINDS = (Span.SPAN_KIND_INTERNAL, Span.SPAN_KIND_SERVER, Span.SPAN_KIND_CLIENT)


def trace_id_of(span_count: int) -> bytes:
    """Return the trace id for a size; each size has its own trace."""
    return span_count.to_bytes(16, "big")


def requests_of(span_count: int, start_unix_nano: int, seed: int = 1) -> Iterator[bytes]:
    """Return ExportTraceServiceRequest bytes that together hold one trace of this size."""
    spans = _spans(span_count, start_unix_nano, random.Random(seed))
    batch: list[tuple[int, Span]] = []
    for span in spans:
        batch.append(span)
        if len(batch) == _SPANS_PER_REQUEST:
            yield _request(batch)
            batch = []
    if batch:
        yield _request(batch)


def _request(batch: list[tuple[int, Span]]) -> bytes:
    data = TracesData()
    for service in sorted({service for service, _ in batch}):
        resource_spans = data.resource_spans.add()
        resource_spans.resource.attributes.append(_attribute("service.name", SERVICES[service]))
        resource_spans.resource.attributes.append(_attribute("host.name", f"{SERVICES[service]}-0"))
        scope_spans = resource_spans.scope_spans.add()
        scope_spans.spans.extend(span for of, span in batch if of == service)
    return data.SerializeToString(deterministic=True)


def _spans(span_count: int, start_unix_nano: int, rng: random.Random) -> Iterator[tuple[int, Span]]:
    """Yield (service, span), parents first. Each span has up to a dozen children within its time."""
    trace_id = trace_id_of(span_count)
    root = _span(rng, trace_id, b"", start_unix_nano, span_count * 200_000, 0)
    waiting = [(0, root)]
    made = 1
    yield 0, root
    while made < span_count:
        service, parent = waiting.pop(0)
        duration = parent.end_time_unix_nano - parent.start_time_unix_nano
        children = min(rng.randint(2, _CHILDREN_MAX), span_count - made)
        called = rng.randrange(len(SERVICES)) if rng.random() < 0.4 else service
        for place in range(children):
            start = parent.start_time_unix_nano + duration * place // children
            length = max(1_000, int(duration / children * rng.uniform(0.3, 0.98)))
            child = _span(rng, trace_id, parent.span_id, start, length, called)
            waiting.append((called, child))
            yield called, child
        made += children


def _span(
    rng: random.Random,
    trace_id: bytes,
    parent_id: bytes,
    start_unix_nano: int,
    duration_nano: int,
    service: int,
) -> Span:
    route = f"/{SERVICES[service]}/{{id}}/step-{rng.randrange(8)}"
    span = Span(
        trace_id=trace_id,
        span_id=rng.randbytes(8),
        parent_span_id=parent_id,
        name=f"GET {route}",
        kind=rng.choice(_KINDS),
        start_time_unix_nano=start_unix_nano,
        end_time_unix_nano=start_unix_nano + duration_nano,
    )
    values = {
        "http.request.method": "GET",
        "http.route": route,
        "url.path": f"/{SERVICES[service]}/{rng.randrange(10_000)}",
        "server.address": SERVICES[service],
        "network.protocol.version": "1.1",
        "user_agent.original": "harbour-client/3.1",
        "thread.name": f"worker-{rng.randrange(16)}",
        "berth": str(rng.randrange(500)),
    }
    span.attributes.extend(_attribute(key, value) for key, value in values.items())
    if rng.random() < 0.01:
        span.status.code = Status.STATUS_CODE_ERROR
        event = span.events.add(name="exception", time_unix_nano=start_unix_nano + 500)
        event.attributes.append(_attribute("exception.message", "the tide was out"))
    return span


def _attribute(key: str, value: str) -> KeyValue:
    attribute = KeyValue(key=key)
    attribute.value.string_value = value
    return attribute
