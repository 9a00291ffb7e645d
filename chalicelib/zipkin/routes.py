"""Zipkin's routes: where its clients send, and its query API. Source: openzipkin/zipkin, ZipkinQueryApiV2.java."""

from __future__ import annotations

from chalicelib.http.route import Dialect, Route
from chalicelib.model.token import Scope

_CONFIG = "How Zipkin's UI is to be."

ROUTES = (
    Route(
        "POST",
        "/api/v2/spans",
        Scope.INGEST,
        "zipkin.handlers:post_spans",
        "Accept spans of Zipkin's clients.",
    ),
    Route(
        "POST",
        "/api/v1/spans",
        Scope.INGEST,
        "zipkin.handlers:post_spans_v1",
        "Accept spans of Zipkin's older clients.",
    ),
    Route(
        "GET", "/api/v2/services", Scope.READ, "zipkin.answers:get_services", "Zipkin's services."
    ),
    Route("GET", "/api/v2/spans", Scope.READ, "zipkin.answers:get_span_names", "Zipkin's spans."),
    Route(
        "GET",
        "/api/v2/remoteServices",
        Scope.READ,
        "zipkin.answers:get_remote_services",
        "Zipkin's remoteServices.",
    ),
    Route("GET", "/api/v2/traces", Scope.READ, "zipkin.answers:get_traces", "Zipkin's traces."),
    Route(
        "GET",
        "/api/v2/trace/{trace_id}",
        Scope.READ,
        "zipkin.answers:get_trace",
        "Zipkin's trace id.",
    ),
    Route(
        "GET",
        "/api/v2/traceMany",
        Scope.READ,
        "zipkin.answers:get_trace_many",
        "Zipkin's traceMany.",
    ),
    Route(
        "GET",
        "/api/v2/dependencies",
        Scope.READ,
        "zipkin.answers:get_dependencies",
        "Zipkin's dependencies.",
    ),
    Route(
        "GET",
        "/api/v2/autocompleteKeys",
        Scope.READ,
        "zipkin.answers:get_autocomplete_keys",
        "Zipkin's autocompleteKeys.",
    ),
    Route(
        "GET",
        "/api/v2/autocompleteValues",
        Scope.READ,
        "zipkin.answers:get_autocomplete_values",
        "Zipkin's autocompleteValues.",
    ),
    Route("GET", "/config.json", None, "zipkin.handlers:get_config", _CONFIG),
    Route("GET", "/zipkin/config.json", None, "zipkin.handlers:get_config", _CONFIG),
)
ZIPKIN = Dialect("Zipkin", ROUTES, "zipkin.handlers:refuse", "zipkin.openapi")
