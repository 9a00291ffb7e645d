"""The load of benchmark and model: seeded traces of 16 spans over four services, batched as by exporters.

The data that the chunk dictionary was trained on has none of its words.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, NamedTuple

from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SPANS_PER_TRACE = 16
SERVICES_PER_TRACE = 4
START_NANO = 1_790_000_000 * 10**9
_INTERNAL, _SERVER, _CLIENT = 1, 2, 3
SERVICES = (
    *("ferry-gateway", "berth-planner", "tide-table", "crew-roster", "crane-dispatch"),
    *("fuel-ledger", "pilot-desk", "customs-mirror", "weather-relay", "cargo-weigher"),
)
_ROUTES = (
    *("/voyages/{voyage}", "/berths/{berth}/slots", "/tides/{port}", "/crews/{crew}/shifts"),
    *("/cranes/{crane}", "/bunkers/{bunker}", "/pilots/{pilot}/calls", "/manifests/{manifest}"),
    *("/winds/{buoy}", "/containers/{container}/weight"),
)


class SentSpan(NamedTuple):
    service: int
    """The number of the service: an index into SERVICES."""
    fields: dict[str, Any]
    """The fields of OTLP's Span, without the attributes."""
    attributes: dict[str, Any]


class _Trace:
    """A trace of sixteen spans: a request through four services, each with its own work and a database call."""

    def __init__(self, rng: random.Random, start_nano: int, path: Sequence[int]) -> None:
        self._rng = rng
        self._trace_id = rng.randbytes(16)
        self._now = start_nano
        self.spans: list[SentSpan] = []
        parent = b""
        for service, following in zip(path, [*path[1:], path[0]], strict=True):
            parent = self._pass(service, following, parent)

    def _pass(self, service: int, following: int, parent: bytes) -> bytes:
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
        return self._span(
            service,
            "GET",
            _CLIENT,
            server,
            {
                "http.request.method": "GET",
                "url.full": f"http://{SERVICES[following]}:8080{path}",
                "server.address": SERVICES[following],
                "http.response.status_code": 200,
            },
        )

    def _span(
        self, service: int, name: str, kind: int, parent: bytes, attributes: dict[str, Any]
    ) -> bytes:
        self._now += self._rng.randrange(200_000)
        fields = {
            "trace_id": self._trace_id,
            "span_id": self._rng.randbytes(8),
            "parent_span_id": parent,
            "name": name,
            "kind": kind,
            "start_time_unix_nano": self._now,
            "end_time_unix_nano": self._now + int(self._rng.lognormvariate(15, 1)),
            "flags": 0x101,
        }
        self.spans.append(SentSpan(service, fields, attributes))
        span_id: bytes = fields["span_id"]  # type: ignore[assignment]
        return span_id


def trace(
    rng: random.Random, start_nano: int, path: Sequence[int] = range(SERVICES_PER_TRACE)
) -> list[SentSpan]:
    """Return the spans of a trace through the services of `path`, four spans in each."""
    return _Trace(rng, start_nano, path).spans


def requests(
    seed: int, span_count: int, spans_per_request: int, start_nano: int = START_NANO
) -> list[bytes]:
    """Return ExportTraceServiceRequest bodies of about `span_count` spans: whole traces, in order, 3 ms apart."""
    rng = random.Random(seed)
    spans = [
        span
        for number in range(span_count // SPANS_PER_TRACE)
        for span in trace(rng, start_nano + number * 3_000_000)
    ]
    return [request_body(batch) for batch in chunked(spans, spans_per_request)]


class Variety(NamedTuple):
    """The differences of a load from the usual one."""

    span_names: int = 0
    """The number of suffixes of span names; 0 for the usual names."""
    services: int = 0
    """The number of services that traces pass through; 0 for the usual four."""
    attributes: int = 0
    """The least number of attributes of a span."""
    has_trace_state: bool = False
    """Whether every span has a trace state, as OpenTelemetry's probability sampler writes it."""


def varied(variety: Variety, seed: int, span_count: int, spans_per_request: int) -> list[bytes]:
    """Return request bodies like those of `requests`, with this variety."""
    rng = random.Random(seed)
    spans = []
    for number in range(span_count // SPANS_PER_TRACE):
        for span in trace(rng, START_NANO + number * 3_000_000):
            name = span.fields["name"]
            if variety.span_names:
                name += f" {_letters(rng.randrange(variety.span_names))}"
            attributes = dict(span.attributes)
            for place in range(len(attributes), variety.attributes):
                attributes[f"harbour.detail.{_letters(place)}"] = f"{rng.randrange(1_000)} boxes"
            service = span.service
            if variety.services:
                # A trace still has four services.
                first = number * 7_919 % variety.services
                service = (first + service) % variety.services
            fields = {**span.fields, "name": name}
            if variety.has_trace_state:
                # The random part is the same in the whole trace.
                fields["trace_state"] = f"ot=th:8;rv:{fields['trace_id'][-7:].hex()}"
            spans.append(SentSpan(service, fields, attributes))
    return [request_body(batch) for batch in chunked(spans, spans_per_request)]


def _letters(number: int) -> str:
    """Return four letters for a number. Digits would be taken for an id."""
    return "".join(chr(ord("a") + number // 26**place % 26) for place in range(4))


def service_name(service: int) -> str:
    around, place = divmod(service, len(SERVICES))
    return SERVICES[place] + (f"-{_letters(around)}" if around else "")


def request_body(spans: Sequence[SentSpan]) -> bytes:
    """Return the bytes of an ExportTraceServiceRequest."""
    data = TracesData()
    of_services: dict[int, list[SentSpan]] = {}
    for span in spans:
        of_services.setdefault(span.service, []).append(span)
    for service, of_service in sorted(of_services.items()):
        resource_spans = data.resource_spans.add()
        _set(resource_spans.resource.attributes, _resource(service_name(service)))
        scope_spans = resource_spans.scope_spans.add()
        scope_spans.scope.name = "harbour.instrumentation.http"
        for span in of_service:
            _set(scope_spans.spans.add(**span.fields).attributes, span.attributes)
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
