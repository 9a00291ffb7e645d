"""An answer to an HTTP request, before any framework's own form of it."""

from __future__ import annotations

from typing import NamedTuple


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


JAEGER_ROUTES = (
    *("GET /api/services", "GET /api/services/{service}/operations", "GET /api/operations"),
    *("GET /api/traces", "GET /api/traces/{trace_id}", "GET /api/dependencies"),
    *("GET /api/metrics/latencies", "GET /api/metrics/calls", "GET /api/metrics/errors"),
    *("GET /api/metrics/minstep", "POST /api/transform"),
    *("GET /api/v3/services", "GET /api/v3/operations", "GET /api/v3/traces"),
    *("GET /api/v3/traces/{trace_id}", "GET /api/v3/trace-summaries", "GET /api/v3/dependencies"),
)
"""Method and path of each question in Jaeger's dialect."""

ZIPKIN_ROUTES = (
    *("GET /api/v2/services", "GET /api/v2/spans", "GET /api/v2/remoteServices"),
    *("GET /api/v2/traces", "GET /api/v2/trace/{trace_id}", "GET /api/v2/traceMany"),
    *("GET /api/v2/dependencies", "GET /api/v2/autocompleteKeys", "GET /api/v2/autocompleteValues"),
)
"""Likewise in Zipkin's."""
ZIPKIN_CONFIG_PATHS = ("/config.json", "/zipkin/config.json")
"""Where Zipkin's UI asks how it is to be."""
