"""Clew's own routes: the native query API, what configures Clew, and the web UI."""

from __future__ import annotations

from chalicelib.http.route import Dialect, Route
from chalicelib.model.token import Scope

ROUTES = (
    Route(
        "GET",
        "/v1/traces",
        Scope.READ,
        "native.answers:get_traces",
        "Traces of which one span meets every condition, newest first.",
    ),
    Route(
        "GET", "/v1/traces/{trace_id}", Scope.READ, "native.answers:get_trace", "A trace's spans."
    ),
    Route(
        "GET",
        "/v1/services",
        Scope.READ,
        "native.answers:get_services",
        "Services with spans in a range, in whole hours; default: all that is kept.",
    ),
    Route(
        "GET",
        "/v1/services/{service}/span_names",
        Scope.READ,
        "native.answers:get_span_names",
        "A service's span names and kinds in a range, in whole days; default: all that is kept.",
    ),
    Route(
        "GET",
        "/v1/services/{service}/attributes",
        Scope.READ,
        "native.answers:get_attributes",
        "Attributes of a service's spans, most frequent first: a sample of its newest traces in a range.",
    ),
    Route(
        "GET",
        "/v1/services/{service}/statistics",
        Scope.READ,
        "native.answers:get_statistics",
        "A service's calls, errors and durations over time.",
    ),
    Route(
        "GET",
        "/v1/edges",
        Scope.READ,
        "native.answers:get_edges",
        "Calls between services, in whole minutes, in an old range in hours or days.",
    ),
    Route(
        "GET",
        "/v1/dead-letters",
        Scope.READ,
        "native.answers:get_dead_letters",
        "Messages that could not be stored, and why; what was sent last comes first.",
    ),
    Route(
        "POST",
        "/v1/dead-letters/redrive",
        Scope.CONFIGURE,
        "native.handlers:post_redrive",
        "Send every dead letter back to be stored.",
    ),
    Route(
        "GET",
        "/v1/sampling",
        Scope.READ,
        "native.handlers:get_sampling",
        "Which share of its traces each service is to send.",
    ),
    Route(
        "PUT",
        "/v1/sampling",
        Scope.CONFIGURE,
        "native.handlers:put_sampling",
        "Replace the sampling strategies.",
    ),
    Route("GET", "/openapi.json", None, "dialects:get_openapi", "This document."),
    Route(
        "GET",
        "/health",
        None,
        "native.handlers:get_health",
        "Whether this function, the queue and a table answer.",
    ),
    Route("HEAD", "/health", None, "native.handlers:get_health", ""),
    Route(
        "GET",
        "/",
        None,
        "native.handlers:get_page",
        "The web UI, or a page of links where it is not built.",
    ),
    Route("HEAD", "/", None, "native.handlers:get_page", ""),
    Route(
        "GET", "/assets/{name}", None, "native.handlers:get_asset", "What the web UI's page loads."
    ),
    Route("HEAD", "/assets/{name}", None, "native.handlers:get_asset", ""),
)
NATIVE = Dialect("Clew", ROUTES, "native.handlers:refuse", "native.openapi")
