"""Record again what Zipkin's clients send: `.venv-clients/bin/python tests/clients/record_zipkin.py FOLDER`.

With a URL instead of a folder, they send to a Clew that runs there.
"""

import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import requests
from opentelemetry.exporter.zipkin.json import Protocol
from opentelemetry.exporter.zipkin.json import ZipkinExporter as JsonExporter
from opentelemetry.exporter.zipkin.proto.http import ZipkinExporter as ProtoExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, StatusCode
from py_zipkin import Encoding, Kind
from py_zipkin.zipkin import zipkin_span

ENCODINGS = {
    Encoding.V1_THRIFT: "/api/v1/spans",
    Encoding.V1_JSON: "/api/v1/spans",
    Encoding.V2_JSON: "/api/v2/spans",
    Encoding.V2_PROTO3: "/api/v2/spans",
}
MEDIA_TYPES = {
    Encoding.V1_THRIFT: "application/x-thrift",
    Encoding.V2_PROTO3: "application/x-protobuf",
}


def send_py_zipkin(url, encoding):
    def transport(body):
        headers = {"Content-Type": MEDIA_TYPES.get(encoding, "application/json")}
        answer = requests.post(url + ENCODINGS[encoding], body, headers=headers, timeout=10)
        assert answer.status_code == 202, answer.text

    root = zipkin_span(
        service_name="Py-Zipkin",
        span_name="GET /order",
        transport_handler=transport,
        sample_rate=100,
        port=8080,
        host="192.0.2.1",
        encoding=encoding,
        kind=Kind.SERVER,
        use_128bit_trace_id=True,
        binary_annotations={"http.method": "GET", "encoding": encoding.name},
    )
    with root, zipkin_span(service_name="py-zipkin", span_name="SELECT", kind=Kind.CLIENT) as call:
        call.update_binary_annotations({"error": "no such table"})
        call.add_sa_binary_annotation(port=5432, service_name="Postgres", host="192.0.2.9")
        time.sleep(0.001)


def send_opentelemetry(exporter, name):
    provider = TracerProvider(resource=Resource({"service.name": "OTel-Zipkin", "host.name": "h"}))
    provider.add_span_processor(BatchSpanProcessor(exporter))
    tracer = provider.get_tracer("recorder", "1.0")
    with tracer.start_as_current_span("GET /order", kind=SpanKind.SERVER) as span:
        span.set_attributes({"exporter": name, "n": 5, "f": 0.5, "b": True, "list": ["x", "y"]})
        span.add_event("cache miss", {"key": "u-1"})
        peer = {"peer.service": "Postgres", "net.peer.ip": "192.0.2.9", "net.peer.port": 5432}
        with tracer.start_as_current_span("SELECT", kind=SpanKind.CLIENT, attributes=peer) as call:
            call.set_status(StatusCode.ERROR, "no such table")
    provider.shutdown()


def senders(url):
    """Name of the golden file, and what sends it."""
    for encoding in ENCODINGS:
        name = f"py-zipkin-0.18.7-{encoding.name.lower().replace('_', '-')}"
        yield name, lambda encoding=encoding: send_py_zipkin(url, encoding)
    exporters = {
        # Without a length it fails at the first attribute.
        "opentelemetry-1.45.1-v1-json": lambda: JsonExporter(
            Protocol.V1, f"{url}/api/v1/spans", max_tag_value_length=256
        ),
        "opentelemetry-1.45.1-v2-json": lambda: JsonExporter(Protocol.V2, f"{url}/api/v2/spans"),
        "opentelemetry-1.45.1-v2-proto3": lambda: ProtoExporter(f"{url}/api/v2/spans"),
    }
    for name, made in exporters.items():
        yield name, lambda name=name, made=made: send_opentelemetry(made(), name)


BODIES = []


class Recorder(BaseHTTPRequestHandler):
    def do_POST(self):
        BODIES.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(202)
        self.end_headers()

    def log_message(self, *_):
        pass


def record(folder):
    server = HTTPServer(("127.0.0.1", 0), Recorder)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for name, send in senders(f"http://127.0.0.1:{server.server_port}"):
        send()
        (folder / f"{name}.bin").write_bytes(BODIES.pop())
    server.shutdown()


def main():
    target = sys.argv[1]
    if target.startswith("http"):
        for _, send in senders(target):
            send()
    else:
        record(Path(target))


if __name__ == "__main__":
    main()
