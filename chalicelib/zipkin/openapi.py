"""The OpenAPI document's part on Zipkin's routes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.http.openapi import Json, as_answered_by, described, text_ingest
from chalicelib.model.token import Scope

if TYPE_CHECKING:
    from chalicelib.http.route import Route

_SPANS: dict[str, Json] = {
    "/api/v2/spans": text_ingest(
        "A JSON array of Zipkin's spans, or a ListOfSpans in protobuf; gzip and deflate are taken.",
        ("application/json", "application/x-protobuf"),
    ),
    "/api/v1/spans": text_ingest(
        "A JSON array of spans of Zipkin's first model, or a list in Thrift's binary protocol.",
        ("application/json", "application/x-thrift"),
    ),
}
_CONFIG: Json = {"responses": described({"200": "As Zipkin's server answers."})}


def operation(route: Route) -> Json:
    """What a route takes and answers."""
    if route.scope is Scope.READ:
        return as_answered_by("Zipkin", route)
    return _SPANS[route.path] if route.method == "POST" else _CONFIG
