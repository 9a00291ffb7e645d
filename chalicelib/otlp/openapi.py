"""The OpenAPI document's part on OTLP/HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.http.openapi import Json, described

if TYPE_CHECKING:
    from chalicelib.http.route import Route

_REQUESTS = {
    "/v1/traces": "ExportTraceServiceRequest",
    "/v1/metrics": "ExportMetricsServiceRequest",
    "/v1/logs": "ExportLogsServiceRequest",
}
_ANSWERS = {
    "200": "Accepted; partial_success counts what was not, and why.",
    "400": "google.rpc.Status: never send this again.",
    "401": "google.rpc.Status: a token is needed, or is not known.",
    "403": "google.rpc.Status: the token has not the scope `ingest`.",
    "413": "google.rpc.Status: too large; send smaller batches.",
    "415": "google.rpc.Status: media type or content encoding not known.",
    "503": "google.rpc.Status: send it again, after Retry-After.",
}


def operation(route: Route) -> Json:
    """What a route takes and answers."""
    binary = {"schema": {"type": "string", "format": "binary"}}
    content = {"application/x-protobuf": binary, "application/json": {"schema": {"type": "object"}}}
    return {
        "description": f"An OTLP/HTTP {_REQUESTS[route.path]}; gzip and deflate are taken. "
        "Answers are encoded as the request.",
        "requestBody": {"required": True, "content": content},
        "responses": described(_ANSWERS),
    }
