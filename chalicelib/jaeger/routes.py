"""Jaeger's routes: where its clients send and ask what to sample, and its query API, first and third.

Sources: jaeger, cmd/collector, http_handler.go, apiv3/http_gateway.go.
"""

from __future__ import annotations

from chalicelib.http.route import Dialect, Route
from chalicelib.model.token import Scope

_SAMPLING = "What a service's remote sampler is to do, as Jaeger's clients ask."

ROUTES = (
    Route(
        "POST",
        "/api/traces",
        Scope.INGEST,
        "jaeger.handlers:post_traces",
        "Accept spans of Jaeger's clients.",
    ),
    Route("GET", "/sampling", Scope.INGEST, "jaeger.handlers:get_sampling", _SAMPLING),
    Route("GET", "/api/sampling", Scope.INGEST, "jaeger.handlers:get_sampling", _SAMPLING),
    Route("GET", "/api/services", Scope.READ, "jaeger.answers:get_services", "Jaeger's services."),
    Route(
        "GET",
        "/api/services/{service}/operations",
        Scope.READ,
        "jaeger.answers:get_operations_of",
        "Jaeger's operations.",
    ),
    Route(
        "GET",
        "/api/operations",
        Scope.READ,
        "jaeger.answers:get_operations",
        "Jaeger's operations.",
    ),
    Route("GET", "/api/traces", Scope.READ, "jaeger.answers:get_traces", "Jaeger's traces."),
    Route(
        "GET",
        "/api/traces/{trace_id}",
        Scope.READ,
        "jaeger.answers:get_trace",
        "Jaeger's trace id.",
    ),
    Route(
        "GET",
        "/api/dependencies",
        Scope.READ,
        "jaeger.answers:get_dependencies",
        "Jaeger's dependencies.",
    ),
    Route(
        "GET",
        "/api/metrics/latencies",
        Scope.READ,
        "jaeger.answers:get_latencies",
        "Jaeger's latencies.",
    ),
    Route("GET", "/api/metrics/calls", Scope.READ, "jaeger.answers:get_calls", "Jaeger's calls."),
    Route(
        "GET", "/api/metrics/errors", Scope.READ, "jaeger.answers:get_errors", "Jaeger's errors."
    ),
    Route(
        "GET",
        "/api/metrics/minstep",
        Scope.READ,
        "jaeger.answers:get_minimum_step",
        "Jaeger's minstep.",
    ),
    Route(
        "POST", "/api/transform", Scope.READ, "jaeger.answers:post_transform", "Jaeger's transform."
    ),
    Route(
        "GET",
        "/api/v3/services",
        Scope.READ,
        "jaeger.answers:get_services_v3",
        "Jaeger's services.",
    ),
    Route(
        "GET",
        "/api/v3/operations",
        Scope.READ,
        "jaeger.answers:get_operations_v3",
        "Jaeger's operations.",
    ),
    Route("GET", "/api/v3/traces", Scope.READ, "jaeger.answers:get_traces_v3", "Jaeger's traces."),
    Route(
        "GET",
        "/api/v3/traces/{trace_id}",
        Scope.READ,
        "jaeger.answers:get_trace_v3",
        "Jaeger's trace id.",
    ),
    Route(
        "GET",
        "/api/v3/trace-summaries",
        Scope.READ,
        "jaeger.answers:get_summaries_v3",
        "Jaeger's trace-summaries.",
    ),
    Route(
        "GET",
        "/api/v3/dependencies",
        Scope.READ,
        "jaeger.answers:get_dependencies_v3",
        "Jaeger's dependencies.",
    ),
)
JAEGER = Dialect("Jaeger", ROUTES, "jaeger.handlers:refuse", "jaeger.openapi")
