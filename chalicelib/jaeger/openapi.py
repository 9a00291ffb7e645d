"""The OpenAPI document's part on Jaeger's routes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.http.openapi import Json, as_answered_by, described, query_parameter, text_ingest
from chalicelib.jaeger.handlers import THRIFT_TYPES
from chalicelib.model.token import Scope

if TYPE_CHECKING:
    from chalicelib.http.route import Route

_SAMPLING: Json = {
    "parameters": [query_parameter("service", "The service's name; once.")],
    "responses": described(
        {
            "200": "Jaeger's SamplingStrategyResponse.",
            "400": "Plain text: the service is missing, or there are several.",
            "401": "Plain text: a token is needed, or is not known.",
            "403": "Plain text: the token has not the scope `ingest`.",
            "503": "Plain text: ask again, after Retry-After.",
        }
    ),
}


def operation(route: Route) -> Json:
    """What a route takes and answers."""
    if route.scope is Scope.READ:
        return as_answered_by("Jaeger", route)
    if route.method == "POST":
        return text_ingest(
            "A Jaeger Batch in Thrift's binary protocol; gzip and deflate are taken.", THRIFT_TYPES
        )
    return _SAMPLING
