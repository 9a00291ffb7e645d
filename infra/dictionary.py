"""Trains the dictionary with which chunks are compressed: `make dictionary`.

It learns from seeded traces in OpenTelemetry's conventions (HTTP, RPC, databases, messaging, several SDKs), so that
attribute keys, resource blocks and their encoding are in it, and little of any one system's values. The file
that it writes is committed: chunks name it by its id, and stay readable as long as it is kept. A new dictionary gets
a new file.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Span, TracesData

from chalicelib.model import zstd
from chalicelib.model.batch import batches_of
from chalicelib.store.chunk import DICTIONARY_PATH
from chalicelib.store.packed import pack, runs_by_trace

if TYPE_CHECKING:
    from pathlib import Path

DICTIONARY_BYTES = 48_000
DICTIONARY_ID = 40_002
"""Ids from 32,768 to 2^31 are for private use (RFC 8878 §6.1)."""
_TRACES = 8_000
_SDKS = (
    ("python", "opentelemetry", "1.30.0", "CPython", "3.12.3"),
    ("java", "opentelemetry", "1.47.0", "OpenJDK Runtime Environment", "21.0.5+11-LTS"),
    ("go", "opentelemetry", "1.34.0", "go", "go1.23.4"),
    ("nodejs", "opentelemetry", "1.30.1", "nodejs", "22.13.0"),
    ("dotnet", "opentelemetry", "1.11.1", ".NET", "9.0.1"),
)
_SCOPES = {
    "python": ("opentelemetry.instrumentation.flask", "opentelemetry.instrumentation.requests"),
    "java": (
        "io.opentelemetry.tomcat-10.0",
        "io.opentelemetry.jdbc",
        "io.opentelemetry.kafka-clients-2.6",
    ),
    "go": (
        "go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp",
        "go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc",
    ),
    "nodejs": ("@opentelemetry/instrumentation-http", "@opentelemetry/instrumentation-express"),
    "dotnet": ("Microsoft.AspNetCore", "System.Net.Http"),
}
_NOUNS = (
    *("account", "invoice", "product", "basket", "report", "device"),
    *("tenant", "session", "document", "image", "comment", "tag"),
)


def _set(attributes: object, values: dict[str, str | int | bool]) -> None:
    for key, value in values.items():
        attribute = attributes.add(key=key)  # type: ignore[attr-defined]
        if isinstance(value, bool):
            attribute.value.bool_value = value
        elif isinstance(value, int):
            attribute.value.int_value = value
        else:
            attribute.value.string_value = value


def _resource(rng: random.Random, service: str) -> tuple[ResourceSpans, str]:
    language, sdk, version, runtime, runtime_version = rng.choice(_SDKS)
    resource_spans = ResourceSpans()
    values: dict[str, str | int | bool] = {
        "telemetry.sdk.language": language,
        "telemetry.sdk.name": sdk,
        "telemetry.sdk.version": version,
        "service.name": service,
        "service.version": f"{rng.randrange(5)}.{rng.randrange(30)}.{rng.randrange(9)}",
        "service.instance.id": f"{rng.getrandbits(32):08x}-{rng.getrandbits(16):04x}",
    }
    if rng.random() < 0.6:
        values |= {
            "deployment.environment.name": rng.choice(("production", "staging")),
            "k8s.namespace.name": "default",
            "k8s.pod.name": f"{service}-{rng.getrandbits(40):010x}",
            "host.name": f"ip-10-0-{rng.randrange(256)}-{rng.randrange(256)}.ec2.internal",
            "cloud.provider": "aws",
            "cloud.region": "us-east-1",
        }
    if rng.random() < 0.5:
        values |= {
            "process.runtime.name": runtime,
            "process.runtime.version": runtime_version,
            "process.pid": rng.randrange(1, 60_000),
            "os.type": "linux",
        }
    _set(resource_spans.resource.attributes, values)
    return resource_spans, language


def _http_server(rng: random.Random, noun: str) -> tuple[str, int, dict[str, str | int | bool]]:
    method = rng.choice(("GET", "GET", "GET", "POST", "PUT", "DELETE"))
    route = f"/api/{noun}s/{{id}}"
    return (
        f"{method} {route}",
        Span.SPAN_KIND_SERVER,
        {
            "http.request.method": method,
            "http.route": route,
            "url.path": f"/api/{noun}s/{rng.randrange(100_000)}",
            "url.scheme": "https",
            "http.response.status_code": rng.choice((200, 200, 200, 201, 204, 404, 500)),
            "server.address": f"{noun}.example.com",
            "server.port": 443,
            "client.address": f"10.0.{rng.randrange(256)}.{rng.randrange(256)}",
            "network.protocol.version": "1.1",
            "user_agent.original": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36",
        },
    )


def _http_client(rng: random.Random, noun: str) -> tuple[str, int, dict[str, str | int | bool]]:
    return (
        "GET",
        Span.SPAN_KIND_CLIENT,
        {
            "http.request.method": "GET",
            "url.full": f"http://{noun}-service:8080/api/{noun}s/{rng.randrange(100_000)}",
            "http.response.status_code": rng.choice((200, 200, 503)),
            "server.address": f"{noun}-service",
            "server.port": 8080,
            "network.peer.address": f"10.1.{rng.randrange(256)}.{rng.randrange(256)}",
        },
    )


def _database(rng: random.Random, noun: str) -> tuple[str, int, dict[str, str | int | bool]]:
    system = rng.choice(("postgresql", "mysql", "redis", "mongodb", "dynamodb"))
    return (
        f"SELECT {noun}s",
        Span.SPAN_KIND_CLIENT,
        {
            "db.system.name": system,
            "db.system": system,
            "db.namespace": f"{noun}s",
            "db.operation.name": "SELECT",
            "db.collection.name": f"{noun}s",
            "db.query.text": f"SELECT * FROM {noun}s WHERE id = ?",
            "server.address": f"{system}.internal",
            "server.port": 5432,
        },
    )


def _rpc(rng: random.Random, noun: str) -> tuple[str, int, dict[str, str | int | bool]]:
    kind = rng.choice((Span.SPAN_KIND_SERVER, Span.SPAN_KIND_CLIENT))
    return (
        f"{noun}.v1.{noun.title()}Service/Get{noun.title()}",
        kind,
        {
            "rpc.system": "grpc",
            "rpc.service": f"{noun}.v1.{noun.title()}Service",
            "rpc.method": f"Get{noun.title()}",
            "rpc.grpc.status_code": 0,
            "server.address": f"{noun}-service",
            "server.port": 50051,
        },
    )


def _messaging(rng: random.Random, noun: str) -> tuple[str, int, dict[str, str | int | bool]]:
    kind = rng.choice((Span.SPAN_KIND_PRODUCER, Span.SPAN_KIND_CONSUMER))
    operation = "send" if kind == Span.SPAN_KIND_PRODUCER else "process"
    return (
        f"{operation} {noun}-events",
        kind,
        {
            "messaging.system": rng.choice(("kafka", "aws_sqs", "rabbitmq")),
            "messaging.destination.name": f"{noun}-events",
            "messaging.operation.name": operation,
            "messaging.operation.type": operation,
            "messaging.message.id": f"{rng.getrandbits(64):016x}",
        },
    )


def _internal(rng: random.Random, noun: str) -> tuple[str, int, dict[str, str | int | bool]]:
    return (
        f"render {noun}",
        Span.SPAN_KIND_INTERNAL,
        {
            "code.function.name": f"render_{noun}",
            "thread.id": rng.randrange(1, 99),
            "thread.name": "main",
            "enduser.id": f"{rng.randrange(10_000)}",
        },
    )


_KINDS = (_http_server, _http_client, _database, _rpc, _messaging, _internal)


def trace(rng: random.Random) -> bytes:
    """Return the TracesData bytes of a made-up trace: one to four services, one to six spans each."""
    trace_id, start = rng.randbytes(16), 1_767_225_600_000_000_000 + rng.randrange(10**15)
    data = TracesData()
    parent = b""
    for service in rng.sample(_NOUNS, rng.randrange(1, 5)):
        resource_spans, language = _resource(rng, f"{service}-service")
        scope_spans = resource_spans.scope_spans.add()
        scope_spans.scope.name = rng.choice(_SCOPES[language])
        scope_spans.scope.version = f"0.{rng.randrange(40, 60)}b0"
        for _ in range(rng.randrange(1, 7)):
            name, kind, attributes = rng.choice(_KINDS)(rng, service)
            start += rng.randrange(10**6)
            span = scope_spans.spans.add(
                trace_id=trace_id,
                span_id=rng.randbytes(8),
                parent_span_id=parent,
                name=name,
                kind=kind,
                start_time_unix_nano=start,
                end_time_unix_nano=start + rng.randrange(10**8),
                flags=0x101,
            )
            _set(span.attributes, attributes)
            if rng.random() < 0.08:
                span.status.code = span.status.STATUS_CODE_ERROR
                event = span.events.add(time_unix_nano=start, name="exception")
                _set(
                    event.attributes,
                    {
                        "exception.type": "TimeoutError",
                        "exception.message": "timed out",
                        "exception.stacktrace": "Traceback (most recent call last):\n  File ",
                    },
                )
            parent = span.span_id
        data.resource_spans.append(resource_spans)
    return data.SerializeToString()


def texts(traces_data: bytes) -> bytes:
    """Return the bytes that are compressed for a chunk of the spans."""
    (runs,) = runs_by_trace(batches_of([traces_data])).values()
    return pack(runs).texts


def train(path: Path) -> None:
    """Train the dictionary and write it."""
    rng = random.Random(20_261_123)
    trained = zstd.train_dict([texts(trace(rng)) for _ in range(_TRACES)], DICTIONARY_BYTES)
    content = bytearray(trained.dict_content)
    content[4:8] = DICTIONARY_ID.to_bytes(4, "little")
    path.write_bytes(content)


if __name__ == "__main__":
    train(DICTIONARY_PATH)
