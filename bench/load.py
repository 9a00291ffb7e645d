"""The benchmark's load: seeded traces of 16 spans over four services, as an exporter would batch them.

None of its words are in the data that the chunk dictionary was trained on.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SPANS_PER_TRACE = 16
START_NANO = 1_790_000_000 * 10**9
_INTERNAL, _SERVER, _CLIENT = 1, 2, 3
_SERVICES = ("ferry-gateway", "berth-planner", "tide-table", "crew-roster")
_ROUTES = ("/voyages/{voyage}", "/berths/{berth}/slots", "/tides/{port}", "/crews/{crew}/shifts")


class _Trace:
    """Sixteen spans: a request that passes through four services, each with its own work and a database call."""

    def __init__(self, rng: random.Random, number: int) -> None:
        self._rng = rng
        self.trace_id = rng.randbytes(16)
        self._now = START_NANO + number * 3_000_000
        self.spans: list[tuple[int, dict[str, Any], dict[str, Any]]] = []
        parent = b""
        for service in range(len(_SERVICES)):
            parent = self._service(service, parent)

    def _service(self, service: int, parent: bytes) -> bytes:
        rng, route = self._rng, _ROUTES[service]
        path = route.split("{")[0] + str(rng.randrange(100_000))
        server = self._span(
            service,
            f"GET {route}",
            _SERVER,
            parent,
            {
                "http.request.method": "GET",
                "http.route": route,
                "url.path": path,
                "http.response.status_code": 200,
                "user_agent.original": "harbour-client/3.1",
                "network.protocol.version": "1.1",
            },
        )
        self._span(
            service, "validate manifest", _INTERNAL, server, {"manifest.lines": rng.randrange(40)}
        )
        self._span(
            service,
            "SELECT harbour",
            _CLIENT,
            server,
            {
                "db.system.name": "postgresql",
                "db.query.text": "SELECT * FROM harbour WHERE id = $1",
                "server.address": f"harbour-db-{service}",
            },
        )
        following = (service + 1) % len(_SERVICES)
        return self._span(
            service,
            "GET",
            _CLIENT,
            server,
            {
                "http.request.method": "GET",
                "url.full": f"http://{_SERVICES[following]}:8080{path}",
                "server.address": _SERVICES[following],
                "http.response.status_code": 200,
            },
        )

    def _span(
        self, service: int, name: str, kind: int, parent: bytes, attributes: dict[str, Any]
    ) -> bytes:
        self._now += self._rng.randrange(200_000)
        fields = {
            "trace_id": self.trace_id,
            "span_id": self._rng.randbytes(8),
            "parent_span_id": parent,
            "name": name,
            "kind": kind,
            "start_time_unix_nano": self._now,
            "end_time_unix_nano": self._now + int(self._rng.lognormvariate(15, 1)),
            "flags": 0x101,
        }
        self.spans.append((service, fields, attributes))
        span_id: bytes = fields["span_id"]  # type: ignore[assignment]
        return span_id


def requests(seed: int, span_count: int, spans_per_request: int) -> list[bytes]:
    """ExportTraceServiceRequest bodies of about `span_count` spans in all, traces whole and in order."""
    rng = random.Random(seed)
    spans = [
        span
        for number in range(span_count // SPANS_PER_TRACE)
        for span in _Trace(rng, number).spans
    ]
    batches = (
        spans[start : start + spans_per_request]
        for start in range(0, len(spans), spans_per_request)
    )
    return [_body(batch) for batch in batches]


def _body(spans: Sequence[tuple[int, dict[str, Any], dict[str, Any]]]) -> bytes:
    data = TracesData()
    for service, name in enumerate(_SERVICES):
        of_service = [(fields, attributes) for at, fields, attributes in spans if at == service]
        if of_service:
            resource_spans = data.resource_spans.add()
            _set(resource_spans.resource.attributes, _resource(name))
            scope_spans = resource_spans.scope_spans.add()
            scope_spans.scope.name = "harbour.instrumentation.http"
            for fields, attributes in of_service:
                _set(scope_spans.spans.add(**fields).attributes, attributes)
    return data.SerializeToString()


def _resource(service: str) -> dict[str, Any]:
    return {
        "service.name": service,
        "service.version": "7.4.2",
        "service.instance.id": f"{service}-6d5f9c-x2x4z",
        "telemetry.sdk.language": "go",
        "telemetry.sdk.name": "opentelemetry",
        "telemetry.sdk.version": "1.38.0",
        "deployment.environment.name": "harbour-west",
    }


def _set(attributes: Any, values: dict[str, Any]) -> None:
    for key, value in values.items():
        attribute = attributes.add(key=key)
        if isinstance(value, int):
            attribute.value.int_value = value
        else:
            attribute.value.string_value = value


def chunked(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
