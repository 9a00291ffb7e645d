"""Spans made with OpenTelemetry's own SDK, sent by its own exporter, asked for by HTTP."""

from __future__ import annotations

import gzip
import json
import threading
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, urlencode

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import SpanKind, StatusCode

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.trace import Span

INTERNAL, SERVER, CLIENT = SpanKind.INTERNAL, SpanKind.SERVER, SpanKind.CLIENT
PRODUCER, CONSUMER = SpanKind.PRODUCER, SpanKind.CONSUMER
MILLI = 1_000_000


class Services:
    """Tracers by service name; times are the test's."""

    def __init__(self) -> None:
        self._ended = InMemorySpanExporter()
        self._tracers: dict[str, trace.Tracer] = {}

    def span(
        self,
        service: str,
        name: str,
        start: int,
        milliseconds: float = 10,
        *,
        kind: SpanKind = SERVER,
        parent: Span | None = None,
        attributes: dict[str, Any] | None = None,
        links: Sequence[Span] = (),
        is_error: bool = False,
        exception: Exception | None = None,
    ) -> Span:
        """One ended span."""
        span = self._tracer(service).start_span(
            name,
            trace.set_span_in_context(parent) if parent else None,
            kind=kind,
            attributes=attributes,
            links=[trace.Link(link.get_span_context(), {"why": "test"}) for link in links],
            start_time=start,
        )
        if exception:
            span.record_exception(exception, timestamp=start + MILLI)
        if is_error:
            span.set_status(StatusCode.ERROR, "it failed")
        span.end(start + int(milliseconds * MILLI))
        return span

    def take(self) -> list[ReadableSpan]:
        """What has ended since the last time."""
        spans = list(self._ended.get_finished_spans())
        self._ended.clear()
        return spans

    def _tracer(self, service: str) -> trace.Tracer:
        if service not in self._tracers:
            resource = Resource.create({"service.name": service, "service.version": "1.2.3"})
            provider = TracerProvider(ALWAYS_ON, resource, shutdown_on_exit=False)
            provider.add_span_processor(SimpleSpanProcessor(self._ended))
            self._tracers[service] = provider.get_tracer("e2e", "0.1")
        return self._tracers[service]


def export(
    url: str,
    spans: Sequence[ReadableSpan],
    compression: Compression | None = None,
    headers: dict[str, str] | None = None,
) -> None:
    """By the stock exporter; fails if it says that they were not accepted."""
    exporter = OTLPSpanExporter(
        f"{url}/v1/traces", headers=headers, compression=compression, timeout=10
    )
    try:
        assert exporter.export(spans) is SpanExportResult.SUCCESS
    finally:
        exporter.shutdown()


def protobuf_of(spans: Sequence[ReadableSpan]) -> bytes:
    """The bytes that the exporter would send."""
    return encode_spans(spans).SerializeToString()


def trace_id_of(span: Span) -> str:
    return trace.format_trace_id(span.get_span_context().trace_id)


def span_id_of(span: Span) -> str:
    return trace.format_span_id(span.get_span_context().span_id)


class Reply(NamedTuple):
    status: int
    headers: dict[str, str]
    """With lower-case names."""
    body: bytes

    @property
    def json(self) -> Any:
        is_gzip = self.headers.get("content-encoding") == "gzip"
        return json.loads(gzip.decompress(self.body) if is_gzip else self.body)


def http(
    url: str, method: str = "GET", body: bytes | None = None, headers: dict[str, str] | None = None
) -> Reply:
    """Any status is an answer."""
    request = urllib.request.Request(url, body, headers or {}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return _reply(answer)
    except urllib.error.HTTPError as error:
        with error:
            return _reply(error)


def _reply(answer: Any) -> Reply:
    headers = {name.lower(): value for name, value in answer.headers.items()}
    return Reply(answer.status, headers, answer.read())


def wait_until(is_so: Callable[[], bool], seconds: float) -> None:
    """Return as soon as it is so; fails if it takes longer than that."""
    ends, pause = time.monotonic() + seconds, threading.Event()
    while not is_so():
        assert time.monotonic() < ends, f"not within {seconds:g} s"
        pause.wait(0.2)


def query_url(url: str, path: str, *pairs: tuple[str, Any], **parameters: Any) -> str:
    text = urlencode([*pairs, *parameters.items()])
    return f"{url}{quote(path)}" + (f"?{text}" if text else "")


def get(url: str, path: str, *pairs: tuple[str, Any], **parameters: Any) -> Any:
    """The JSON of an answer that must be 200."""
    reply = http(query_url(url, path, *pairs, **parameters))
    assert reply.status == 200, reply.body
    return reply.json


def seconds_text(unix_nano: int) -> str:
    """A time as a query parameter."""
    return f"{unix_nano // 10**9}.{unix_nano % 10**9:09d}"


def minutes_ago(minutes: float) -> int:
    """Nanoseconds since the epoch."""
    return time.time_ns() - int(minutes * 60 * 10**9)


class Order(NamedTuple):
    """What was sent for the tests of queries."""

    trace_ids: list[str]
    """Of three orders, oldest first; the second failed."""
    email_trace_id: str
    starts: list[int]
    spans: list[dict[str, Any]]
    """Of the first order, as OTLP/JSON has them."""


SLOW_MS = 700
SHOP = ("shop-front", "shop-orders", "shop-stock", "shop-mail")


def make_orders() -> tuple[Order, list[list[ReadableSpan]]]:
    """Three orders by four services, and the spans of them, a list for each order and service."""
    services = Services()
    batches = []
    starts = [minutes_ago(minutes) for minutes in (31, 21, 11)]
    trace_ids, email_trace_id = [], ""
    first: list[dict[str, Any]] = []
    for number, start in enumerate(starts):
        failed = number == 1
        milliseconds = SLOW_MS if number == 2 else 100
        page = services.span(
            SHOP[0],
            "POST /orders",
            start,
            milliseconds,
            attributes={"order.number": 41 + number, "user": f"user {number} & co"},
            is_error=failed,
        )
        asks = services.span(
            *(SHOP[0], "POST", start + 1 * MILLI, 90),
            kind=CLIENT,
            parent=page,
            attributes={"server.address": "orders.internal"},
        )
        answers = services.span(
            *(SHOP[1], "POST /orders", start + 2 * MILLI, 80),
            parent=asks,
            is_error=failed,
            exception=ValueError("out of stock") if failed else None,
        )
        services.span(
            *(SHOP[1], "check", start + 3 * MILLI, 5),
            kind=INTERNAL,
            parent=answers,
            attributes={"ratio": 0.25, "fine": True, "tags": ["a", "b"], "empty": ""},
        )
        services.span(
            *(SHOP[1], "SELECT stock", start + 9 * MILLI, 20),
            kind=CLIENT,
            parent=answers,
            attributes={"db.system.name": "postgresql", "server.address": "stock-db"},
        )
        services.span(
            *(SHOP[1], "POST /charges", start + 30 * MILLI, 30),
            kind=CLIENT,
            parent=answers,
            attributes={"server.address": "pay.example"},
            is_error=failed,
        )
        sends = services.span(
            *(SHOP[1], "send order-events", start + 65 * MILLI, 3),
            kind=PRODUCER,
            parent=answers,
            attributes={
                "messaging.system": "aws_sqs",
                "messaging.destination.name": "order-events",
            },
        )
        stock = services.span(
            *(SHOP[2], "stock changed", start + 70 * MILLI, 4), kind=CONSUMER, parent=sends
        )
        mail = services.span(
            *(SHOP[3], "process order-events", start + 90 * MILLI, 40), kind=CONSUMER, links=[sends]
        )
        trace_ids.append(trace_id_of(page))
        assert trace_id_of(stock) == trace_ids[-1] != trace_id_of(mail)
        email_trace_id = trace_id_of(mail)
        spans = services.take()
        batches += [
            [span for span in spans if span.resource.attributes["service.name"] == service]
            for service in SHOP
        ]
        if number == 0:
            first = otlp_json(protobuf_of(spans), trace_ids[0])
    return Order(trace_ids, email_trace_id, starts, first), batches


def otlp_json(protobuf: bytes, trace_id: str) -> list[dict[str, Any]]:
    """What a trace's spans must look like: an independent, literal reading of what the exporter sends."""
    found = []
    for resource_spans in TracesData.FromString(protobuf).resource_spans:
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                if span.trace_id.hex() != trace_id:
                    continue
                found.append(
                    {
                        "resource": attributes_of(resource_spans.resource.attributes),
                        "scope": (scope_spans.scope.name, scope_spans.scope.version),
                        "traceId": span.trace_id.hex(),
                        "spanId": span.span_id.hex(),
                        "parentSpanId": span.parent_span_id.hex(),
                        "name": span.name,
                        "kind": span.kind,
                        "flags": span.flags,
                        "startTimeUnixNano": str(span.start_time_unix_nano),
                        "endTimeUnixNano": str(span.end_time_unix_nano),
                        "status": (span.status.code, span.status.message),
                        "attributes": attributes_of(span.attributes),
                        "events": [
                            (str(event.time_unix_nano), event.name, attributes_of(event.attributes))
                            for event in span.events
                        ],
                        "links": [
                            (
                                link.trace_id.hex(),
                                link.span_id.hex(),
                                attributes_of(link.attributes),
                            )
                            for link in span.links
                        ],
                    }
                )
    return sorted(found, key=lambda span: span["spanId"])


def attributes_of(attributes: Any) -> list[tuple[str, Any]]:
    def value(of: Any) -> Any:
        kind = of.WhichOneof("value")
        if kind == "array_value":
            return [value(each) for each in of.array_value.values]
        return getattr(of, kind)

    return [(attribute.key, value(attribute.value)) for attribute in attributes]


def edges(url: str, *services: str, **parameters: Any) -> dict[tuple[str, str, str], Any]:
    """(Caller, callee, kind) → edge, of those that a service of these makes or takes."""
    return {
        (edge["caller"], edge["callee"], edge["kind"]): edge
        for edge in get(url, "/v1/edges", **parameters)["edges"]
        if edge["caller"] in services or edge["callee"] in services
    }
