"""API Gateway's REST proxy as a WSGI application: requests become its v1 events, answers become responses.

The functions decide what to do with a request. This module decides only what API Gateway and Lambda decide themselves:
which route a path is (404, 405), the limits of size (413), and what a failed function is answered (502).
Source: "Set up Lambda proxy integrations in API Gateway", input and output format.
"""

from __future__ import annotations

import base64
import binascii
import json
import logging
import threading
import time
import uuid
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from chalicelib.http.cross_origin import cors_headers
from local.functions import REQUEST_BYTES_MAX, context_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from wsgiref.types import StartResponse, WSGIEnvironment

    from chalice.app import Chalice

_logger = logging.getLogger(__name__)

BODY_BYTES_MAX = 10 * 1024 * 1024
"""API Gateway's payload limit."""
STAGE = "clew"
_HOP_BY_HOP = {
    "connection",
    "content-length",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
}
"""Headers that API Gateway writes itself, in requests and in responses."""

_OWN_HEADERS = [("Content-Type", "application/json"), ("X-Content-Type-Options", "nosniff")]

Event = dict[str, Any]


class Request(NamedTuple):
    """An HTTP request as it was received."""

    method: str
    path: str
    """The path, still percent-encoded."""
    query: str
    """The query string without the question mark, still percent-encoded."""
    headers: dict[str, str]
    body: bytes
    source_ip: str


class Answer(NamedTuple):
    """An HTTP response without the headers that the server adds."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


class InvalidResponse(Exception):
    """The function returned a value that API Gateway cannot turn into a response."""


class Routes:
    """Finds the resource of a path. A parameter matches one segment, and a fixed segment wins over a parameter."""

    def __init__(self, resources: Iterable[str]) -> None:
        by_length: dict[int, list[tuple[str, list[str]]]] = {}
        for resource in resources:
            segments = resource.split("/")
            by_length.setdefault(len(segments), []).append((resource, segments))
        for same_length in by_length.values():
            same_length.sort(key=lambda route: [_is_parameter(segment) for segment in route[1]])
        self._by_length = by_length

    def match(self, path: str) -> tuple[str, dict[str, str]] | None:
        """Return the resource and its path parameters, still percent-encoded; None if there is no such resource."""
        segments = path.split("/")
        if len(segments) > 2 and not segments[-1]:
            segments.pop()  # API Gateway ignores a slash at the end
        for resource, pattern in self._by_length.get(len(segments), ()):
            pairs = list(zip(pattern, segments, strict=True))
            if all(value if _is_parameter(name) else name == value for name, value in pairs):
                return resource, {n[1:-1]: value for n, value in pairs if _is_parameter(n)}
        return None


def _is_parameter(segment: str) -> bool:
    return segment.startswith("{") and segment.endswith("}")


class Gateway:
    """The WSGI application in front of a Chalice application.

    `base` is the prefix of every path, such as `/clew` for a stage of that name; it is empty with a custom domain.
    """

    def __init__(self, app: Chalice, base: str = "") -> None:
        self._base = base
        self._app = one_request_a_thread(app)
        self._methods: dict[str, set[str]] = {path: set(of) for path, of in app.routes.items()}
        self._routes = Routes(self._methods)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
        request = request_from_environ(environ)
        answer = self.answer(request, environ.get("clew.go_on"))
        status = HTTPStatus(answer.status)
        headers = list(answer.headers)
        # With 304 the length would be that of the representation that the client has.
        if status is not HTTPStatus.NOT_MODIFIED:
            headers.append(("Content-Length", str(len(answer.body))))
        start_response(f"{status.value} {status.phrase}", headers)
        return [] if request.method == "HEAD" else [answer.body]

    def has(self, path: str) -> bool:
        """Return whether the application has a route for the path, whatever the method."""
        return self._routes.match(path) is not None

    def answer(self, request: Request, go_on: Callable[[], bool] | None = None) -> Answer:
        """Return what API Gateway would answer; never raises. `go_on` goes into the function's context."""
        event = self._event(request)
        return event if isinstance(event, Answer) else self._invoke(event, go_on)

    def refusal(self, request: Request) -> Answer | None:
        """Return the answer that the headers alone decide; None if the body is needed. Never raises."""
        event = self._event(request)
        if isinstance(event, Answer):
            return event
        try:
            refused = getattr(self._app, "refusal", _wants_all)(event, context_of("api_handler"))
            return None if refused is None else answer_from_response(refused)
        except Exception:
            _logger.exception("%s %s failed", event["httpMethod"], event["path"])
            return _gateway_message(502, "Internal server error")

    def _event(self, request: Request) -> Event | Answer:
        """Return the event for the function, or the answer that the gateway gives by itself."""
        is_below = f"{request.path}/".startswith(f"{self._base}/")
        path = request.path.removeprefix(self._base) or "/"
        matched = self._routes.match(path) if is_below else None
        if matched is None:
            answer = _error(404, "not_found", f"there is nothing at {request.path}")
            return readable_by_every_page(answer, request.headers)
        resource, path_parameters = matched
        methods = self._methods[resource]
        # API Gateway would refuse HEAD, but clients without a gateway expect it to work.
        method = "GET" if request.method == "HEAD" and "HEAD" not in methods else request.method
        if method not in methods:
            allowed = ", ".join(sorted(methods | ({"HEAD"} if "GET" in methods else set())))
            message = f"{request.method} is not possible here; {allowed} is"
            answer = _error(405, "method_not_allowed", message, [("Allow", allowed)])
            return readable_by_every_page(answer, request.headers)
        if len(request.body) > BODY_BYTES_MAX:
            answer = _gateway_message(413, "Request Too Long")
            return readable_by_every_page(answer, request.headers)
        request = request._replace(method=method, path=path)
        return event_from_request(request, resource, path_parameters, self._base)

    def _invoke(self, event: Event, go_on: Callable[[], bool] | None) -> Answer:
        try:
            return answer_from_response(self._app(event, context_of("api_handler", go_on)))
        except Exception:
            _logger.exception("%s %s failed", event["httpMethod"], event["path"])
            answer = _gateway_message(502, "Internal server error")
            return readable_by_every_page(answer, event["headers"])


def request_from_environ(environ: WSGIEnvironment) -> Request:
    """Return the request of a WSGI environment, without the hop-by-hop headers."""
    headers = {
        name.removeprefix("HTTP_").replace("_", "-").title(): value
        for name, value in environ.items()
        if name.startswith("HTTP_") or name == "CONTENT_TYPE"
    }
    return Request(
        environ["REQUEST_METHOD"],
        path_from_uri(environ["REQUEST_URI"]),
        environ["QUERY_STRING"],
        {name: value for name, value in headers.items() if name.lower() not in _HOP_BY_HOP},
        environ["wsgi.input"].read(),
        environ["REMOTE_ADDR"],
    )


def path_from_uri(uri: str) -> str:
    """Return the path of a request line's URI, still percent-encoded. A request through a proxy has an absolute URI.

    Source: RFC 9112, section 3.2.2.
    """
    return uri.partition("?")[0] if uri.startswith("/") else urlsplit(uri).path or "/"


def event_from_request(
    request: Request, resource: str, path_parameters: Mapping[str, str], base: str = ""
) -> Event:
    """Return the event of a REST API's Lambda proxy integration whose binary media type is `*/*`.

    Every body is base64. As with API Gateway, path parameters stay percent-encoded and query parameters are decoded.
    """
    query: dict[str, list[str]] = {}
    for name, value in parse_qsl(request.query, keep_blank_values=True):
        query.setdefault(name, []).append(value)
    return {
        "resource": resource,
        "path": request.path,
        "httpMethod": request.method,
        "headers": request.headers,
        "multiValueHeaders": {name: [value] for name, value in request.headers.items()},
        "queryStringParameters": {name: values[-1] for name, values in query.items()} or None,
        "multiValueQueryStringParameters": query or None,
        "pathParameters": dict(path_parameters) or None,
        "stageVariables": None,
        "requestContext": _request_context(request, resource, base),
        "body": base64.b64encode(request.body).decode("ascii") if request.body else None,
        "isBase64Encoded": bool(request.body),
    }


def _request_context(request: Request, resource: str, base: str) -> dict[str, Any]:
    return {
        "accountId": "123456789012",
        "apiId": "local",
        "domainName": request.headers.get("Host", ""),
        "httpMethod": request.method,
        "identity": {
            "sourceIp": request.source_ip,
            "userAgent": request.headers.get("User-Agent"),
        },
        # This path has the stage in it; the event's own `path` does not.
        "path": base + request.path,
        "protocol": "HTTP/1.1",
        "requestId": str(uuid.uuid4()),
        "requestTimeEpoch": time.time_ns() // 1_000_000,
        "resourcePath": resource,
        "stage": STAGE,
    }


def answer_from_response(response: Any) -> Answer:
    """Return the HTTP response for a function's return value.

    Raises InvalidResponse for a malformed Lambda proxy response, and for one that is larger than Lambda's limit.
    """
    try:
        status = HTTPStatus(int(response["statusCode"]))
        headers = {**(response.get("headers") or {}), **(response.get("multiValueHeaders") or {})}
        body = response.get("body") or ""
        is_base64 = response.get("isBase64Encoded", False)
        raw = base64.b64decode(body, validate=True) if is_base64 else body.encode()
    except (AttributeError, KeyError, TypeError, ValueError, binascii.Error) as error:
        raise InvalidResponse(f"not a proxy response: {error!r}") from error
    if len(body) > REQUEST_BYTES_MAX:
        raise InvalidResponse(f"{len(body)} bytes; Lambda passes on {REQUEST_BYTES_MAX}")
    pairs = [
        (name, str(value))
        for name, values in headers.items()
        for value in (values if isinstance(values, list) else [values])
        if name.lower() not in _HOP_BY_HOP
    ]
    if not any(name.lower() == "content-type" for name, _ in pairs):
        pairs.append(("Content-Type", "application/json"))
    return Answer(status, pairs, raw)


def one_request_a_thread(app: Chalice) -> Chalice:
    """Return the same application, made safe to call from several threads.

    Chalice keeps the current request in an attribute, for a Lambda has one at a time. (`chalice local` does this too.)
    """
    if not isinstance(type(app).__dict__.get("current_request"), _PerThread):
        own = {name: _PerThread(name) for name in ("current_request", "lambda_context")}
        app.__class__ = type(type(app).__name__, (type(app),), own)
    return app


def _wants_all(_event: Event, _context: object) -> None:
    """Return None: the application refuses no request by its headers alone."""


class _PerThread:
    """An attribute with a value for each thread."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._values = threading.local()

    def __get__(self, instance: Any, owner: type) -> Any:
        if instance is None:
            return self
        if not hasattr(self._values, "value"):
            raise AttributeError(self._name)
        return self._values.value

    def __set__(self, instance: Any, value: Any) -> None:
        self._values.value = value


def readable_by_every_page(answer: Answer, request_headers: Mapping[str, str]) -> Answer:
    """Return the gateway's answer with CORS headers for pages of every origin: it tells nothing about spans."""
    headers = {name.lower(): value for name, value in request_headers.items()}
    cors = cors_headers(headers, (), for_everyone=True)
    return answer._replace(headers=[*answer.headers, *cors.items()])


def _error(status: int, code: str, message: str, headers: Iterable[tuple[str, str]] = ()) -> Answer:
    """Return an error in Clew's own form, as the GatewayResponses of a deployed API do."""
    body = {"error": {"code": code, "message": message, "parameter": None}}
    return Answer(status, [*_OWN_HEADERS, *headers], json.dumps(body).encode())


def _gateway_message(status: int, message: str) -> Answer:
    """Return an error in API Gateway's own form."""
    return Answer(status, [*_OWN_HEADERS], json.dumps({"message": message}).encode())
