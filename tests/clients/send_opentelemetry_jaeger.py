"""A server's span and its call to a database, by OpenTelemetry's Jaeger exporter: `START_UNIX_SECONDS URL AGENT_PORT`.

Over HTTP to the collector, and as a datagram to the agent; with a TOKEN in the environment, which a datagram cannot
show, over HTTP alone. It runs in an environment of its own.
"""

import os
import sys

from opentelemetry.exporter.jaeger.thrift import JaegerExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.trace import Link, SpanContext, SpanKind, StatusCode, set_span_in_context

SECOND = 10**9


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


def send(exporter, trace_id, start):
    provider = TracerProvider(
        resource=Resource({"service.name": "OTel-Jaeger", "host.name": "h"}),
        id_generator=Ids(trace_id),
    )
    provider.add_span_processor(BatchSpanProcessor(exporter))
    tracer = provider.get_tracer("recorder", "1.0")
    tags = {"http.method": "GET", "n": 5, "f": 0.5, "b": True, "list": ["x", "y"]}
    root = tracer.start_span(
        "GET /order",
        kind=SpanKind.SERVER,
        attributes=tags,
        links=[Link(SpanContext(int("ee" * 16, 16), int("ee" * 8, 16), is_remote=True))],
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


def main():
    start, url, agent_port = int(sys.argv[1]) * SECOND, sys.argv[2], int(sys.argv[3])
    endpoint = f"{url}/api/traces?format=jaeger.thrift"
    if token := os.environ.get("TOKEN"):
        send(
            JaegerExporter(collector_endpoint=endpoint, username="any", password=token),
            int("c0" * 16, 16),
            start,
        )
        return
    send(JaegerExporter(collector_endpoint=endpoint), int("c0" * 16, 16), start)
    send(
        JaegerExporter(agent_host_name="127.0.0.1", agent_port=agent_port),
        int("c1" * 16, 16),
        start + SECOND,
    )


if __name__ == "__main__":
    main()
