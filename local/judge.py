"""Decides by a request's headers whether it is served: its Host and its token. Also makes the 503 where room is short.

Each answer has the form of the dialect of the request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib import config
from local.gateway import Answer, Request, path_from_uri, readable_by_every_page
from local.turns import Kind, kind_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from chalicelib.http import answer as http
    from local.gateway import Gateway
    from local.hosts import Hosts
    from local.http_parser import Parser

SENDING = "too much is being received: send again"
ASKING = "too many answers are being worked on: ask again"


class GatewayJudge:
    """A Judge that decides as the gateway and its application would."""

    def __init__(self, gateway: Gateway, hosts: Hosts | None) -> None:
        """`hosts` are the names that Clew answers to; None for any name."""
        self._gateway = gateway
        self._hosts = hosts

    def refusal(self, request: Parser, address: str) -> Answer | None:
        """Return the answer that refuses the request before its body is read; None if it may send the body."""
        headers = _headers_of(request)
        if self._hosts and (
            why := self._hosts.refusal(headers.get("host", ""), request.request_uri)
        ):
            return misdirected(why)
        uri = request.request_uri
        return self._gateway.refusal(
            Request(request.command, path_from_uri(uri), request.query, headers, b"", address),
        )

    def busy(self, request: Parser) -> Answer:
        """Return a 503 with Retry-After in the form of the request's dialect."""
        return busy_answer(request.command, request.path, _headers_of(request))


def with_hosts(application: WSGIApplication, hosts: Hosts) -> WSGIApplication:
    """Return the application behind a check of the Host header: other names get 403."""

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        why = hosts.refusal(environ.get("HTTP_HOST", ""), environ["REQUEST_URI"])
        if not why:
            return application(environ, start_response)
        refused = misdirected(why)
        length = ("Content-Length", str(len(refused.body)))
        start_response(f"{refused.status} Forbidden", [*refused.headers, length])
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [refused.body]

    return answer


def misdirected(why: str) -> Answer:
    """Return a 403 for a request with a wrong Host header."""
    import orjson

    from chalicelib.http.errors import Failure
    from chalicelib.http.respond import error_json

    headers = [("Content-Type", "application/json"), ("X-Content-Type-Options", "nosniff")]
    return Answer(403, headers, orjson.dumps(error_json(Failure(403, "forbidden", why))))


def busy_answer(method: str, path: str, headers: Mapping[str, str]) -> Answer:
    """Return a 503 with Retry-After; `headers` have lower-case names."""
    answer = _busy_answer(method, path.removeprefix("/zipkin"), headers)
    answer.headers["Retry-After"] = str(config.RETRY_AFTER_SECONDS)
    busy = Answer(answer.status, list(answer.headers.items()), answer.body)
    return readable_by_every_page(busy, headers) if kind_of(method, path) is Kind.SEND else busy


def _busy_answer(method: str, path: str, headers: Mapping[str, str]) -> http.Answer:
    from chalicelib.http.errors import Failure
    from chalicelib.http.respond import error_answer, json_answer
    from chalicelib.http.text import text
    from chalicelib.jaeger import render as jaeger
    from chalicelib.otlp.endpoint import refuse

    if kind_of(method, path) is Kind.SEND:
        is_otlp = path.startswith("/v1/")
        return refuse(headers, b"", 503, SENDING) if is_otlp else text(503, SENDING)
    if path.startswith("/api/v2/"):
        return text(503, ASKING)
    if path.startswith("/api/v3/"):
        return json_answer(jaeger.error_v3(503, ASKING), headers, 503)
    if path.startswith("/api/"):
        return json_answer(jaeger.error_envelope(503, ASKING), headers, 503)
    return error_answer(Failure(503, "unavailable", ASKING), headers)


def _headers_of(request: Parser) -> dict[str, str]:
    """Return the request's headers with lower-case names."""
    return {name.lower().replace("_", "-"): value for name, value in request.headers.items()}
