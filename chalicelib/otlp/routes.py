"""OTLP/HTTP's routes. Source: opentelemetry-proto, docs/specification.md, "OTLP/HTTP"."""

from __future__ import annotations

from chalicelib.http.route import Dialect, Route
from chalicelib.model.token import Scope

ROUTES = (
    Route("POST", "/v1/traces", Scope.INGEST, "otlp.handlers:post_traces", "Accept spans."),
    Route(
        "POST", "/v1/metrics", Scope.INGEST, "otlp.handlers:post_metrics", "Answered, not stored."
    ),
    Route("POST", "/v1/logs", Scope.INGEST, "otlp.handlers:post_logs", "Answered, not stored."),
)
OTLP = Dialect("OTLP", ROUTES, "otlp.handlers:refuse", "otlp.openapi")
