"""What OpenTelemetry's exporters for Zipkin and Jaeger are given to send, of an SDK new or old."""

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.trace import Link, SpanContext, SpanKind, StatusCode, set_span_in_context

SECOND = 10**9
LINKED = SpanContext(int("ee" * 16, 16), int("ee" * 8, 16), is_remote=True)


class Ids(IdGenerator):
    """One trace; its spans count up."""

    def __init__(self, trace_id):
        self._trace_id = trace_id
        self._span_id = trace_id & (2**64 - 1)

    def generate_trace_id(self):
        return self._trace_id

    def generate_span_id(self):
        self._span_id += 1
        return self._span_id


def send(exporter, service, trace_id, start):
    """A server's span and its call to a database, in one request. `trace_id`: hexadecimal; `start`: ns."""
    provider = TracerProvider(
        resource=Resource({"service.name": service, "host.name": "h"}),
        id_generator=Ids(int(trace_id, 16)),
    )
    provider.add_span_processor(BatchSpanProcessor(exporter))
    tracer = provider.get_tracer("recorder", "1.0")
    root = tracer.start_span(
        "GET /order",
        kind=SpanKind.SERVER,
        attributes={"http.method": "GET", "n": 5, "f": 0.5, "b": True, "list": ["x", "y"]},
        links=[Link(LINKED)],
        start_time=start,
    )
    root.add_event("cache miss", {"key": "u-1"}, timestamp=start + SECOND // 8)
    call = tracer.start_span(
        "SELECT",
        set_span_in_context(root),
        kind=SpanKind.CLIENT,
        attributes={"peer.service": "Postgres", "net.peer.ip": "192.0.2.9", "net.peer.port": 5432},
        start_time=start + SECOND // 4,
    )
    call.set_status(StatusCode.ERROR, "no such table")
    call.end(start + 3 * SECOND // 4)
    root.end(start + SECOND)
    provider.shutdown()
