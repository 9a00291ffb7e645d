"""A server's span and its call to a database, by OpenTelemetry's Zipkin exporters: `START_UNIX_SECONDS URL`.

A TOKEN in the environment goes into the URL. It runs in an environment of its own.
"""

import os
import sys

from opentelemetry.exporter.zipkin.json import Protocol
from opentelemetry.exporter.zipkin.json import ZipkinExporter as JsonExporter
from opentelemetry.exporter.zipkin.proto.http import ZipkinExporter as ProtoExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.trace import SpanKind, StatusCode, set_span_in_context

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
        resource=Resource({"service.name": "OTel-Zipkin", "host.name": "h"}),
        id_generator=Ids(trace_id),
    )
    provider.add_span_processor(BatchSpanProcessor(exporter))
    tracer = provider.get_tracer("recorder", "1.0")
    tags = {"http.method": "GET", "n": 5, "f": 0.5, "b": True, "list": ["x", "y"]}
    root = tracer.start_span("GET /order", kind=SpanKind.SERVER, attributes=tags, start_time=start)
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
    start, url = int(sys.argv[1]) * SECOND, sys.argv[2]
    if token := os.environ.get("TOKEN"):
        url = url.replace("://", f"://any:{token}@")
    exporters = [
        # Without a length it fails at the first attribute.
        JsonExporter(Protocol.V1, f"{url}/api/v1/spans", max_tag_value_length=256),
        JsonExporter(Protocol.V2, f"{url}/api/v2/spans"),
        ProtoExporter(f"{url}/api/v2/spans"),
    ]
    for number, exporter in enumerate(exporters):
        send(exporter, int(f"b{number}" * 16, 16), start + number * SECOND)


if __name__ == "__main__":
    main()
