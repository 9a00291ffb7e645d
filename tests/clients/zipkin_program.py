"""A span by each of OpenTelemetry's Zipkin exporters, with nothing configured: where they send is their own default."""

from opentelemetry.exporter.zipkin.json import ZipkinExporter as JsonExporter
from opentelemetry.exporter.zipkin.proto.http import ZipkinExporter as ProtoExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

for name, exporter in {"json": JsonExporter(), "proto3": ProtoExporter()}.items():
    provider = TracerProvider(resource=Resource({"service.name": "my-service"}))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    provider.get_tracer("program").start_span(name).end()
