"""A span by OpenTelemetry's Jaeger exporter, with nothing configured: where it sends is its own default."""

from opentelemetry.exporter.jaeger.thrift import JaegerExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

provider = TracerProvider(resource=Resource({"service.name": "exporter-service"}))
provider.add_span_processor(SimpleSpanProcessor(JaegerExporter()))
provider.get_tracer("program").start_span("compact").end()
