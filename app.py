"""Clew's HTTP function: Chalice's fix-ups, and the table of every dialect's routes.

Who may is decided in `chalicelib/http/guard.py`; each route's handler is imported with its first request.
`docs/glossary.md` has the words, `/openapi.json` the API.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from chalice.app import Chalice, Response
from chalice.app import Request as ChaliceRequest

from chalicelib import wiring
from chalicelib.dialects import DIALECTS
from chalicelib.functions.consume import consumer
from chalicelib.functions.summarise import schedules
from chalicelib.http.gateway import accepting_all, accepts, as_text, secured, time_left_in
from chalicelib.http.guard import for_browsers, preflight_answer, refusal_of, tell_change
from chalicelib.http.request import Request
from chalicelib.http.route import resolve

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chalicelib.http.answer import Answer
    from chalicelib.http.route import Dialect, Route

_ANY_TYPE = ["*/*"]


class Clew(Chalice):
    """The application of these dialects, whose first one with a route has it."""

    def __init__(self, dialects: Sequence[Dialect]) -> None:
        super().__init__(app_name="clew")
        # Every body is bytes: protobuf, gzip, and JSON alike.
        self.api.binary_types = _ANY_TYPE
        self._routes: dict[str, dict[str, tuple[Dialect, Route]]] = {}
        """Path → method → dialect and route."""
        for dialect in dialects:
            for route in dialect.routes:
                self._routes.setdefault(route.path, {})[route.method] = dialect, route
        for path, by_method in self._routes.items():
            # API Gateway's own answers to preflights are constant, and so could not name an origin.
            self.route(path, methods=["OPTIONS"], content_types=_ANY_TYPE)(self._preflight)
            self.route(path, methods=list(by_method), content_types=_ANY_TYPE)(self._answer)

    def __call__(self, event: Any, context: Any) -> Any:
        """Answer as Chalice does, for requests without an Accept header too, such as those of Go's OTLP exporter.

        Chalice answers them 400 *after the view has run*: spans would be stored, and their sender told that they were
        not. And whether API Gateway decodes a base64 answer to them is not said anywhere: what is text goes as text.
        Whatever answers, a browser is told to make no more of it than it is.
        """
        if accepts(event):
            response = super().__call__(event, context)
        else:
            response = as_text(super().__call__(accepting_all(event), context))
        return secured(response)

    def refusal(self, event: Any, context: Any) -> dict[str, Any] | None:
        """What a request is answered by its headers alone; None if it may send its body. `event` has none.

        For who serves HTTP itself, and must not read what nobody may send: API Gateway reads all before it calls.
        """
        self.current_request = ChaliceRequest(event, context)
        self.lambda_context = context
        request = self._request({})
        if request.method == "OPTIONS":
            return None
        dialect, route = self._routes[request.route][request.method]
        if (refused := _refused(request, dialect, route)) is None:
            return None
        return secured(_response(refused).to_dict(self.api.binary_types))

    def _answer(self, **path_parameters: str) -> Response:
        request = self._request(path_parameters)
        dialect, route = self._routes[request.route][request.method]
        if (answer := _refused(request, dialect, route)) is None:
            answer = resolve(route.handler)(request)
            tell_change(request, route.scope, answer)
            answer = for_browsers(request, route.scope, answer)
        return _response(answer)

    def _preflight(self, **_: str) -> Response:
        """What a browser asks before it sends what a page of another origin wants sent."""
        request = self._request({})
        scopes = {method: route.scope for method, (_, route) in self._routes[request.route].items()}
        return _response(preflight_answer(request, scopes))

    def _request(self, path_parameters: dict[str, str]) -> Request:
        request = self.current_request
        assert request is not None
        query, raw = request.query_params, request.raw_body
        return Request(
            method=request.method,
            route=request.context["resourcePath"],
            path=request.context.get("path") or "/",
            path_parameters={name: unquote(value) for name, value in path_parameters.items()},
            parameters={name: query.getlist(name) for name in query} if query else {},
            headers={name.lower(): value for name, value in request.headers.items()},
            body=raw.encode() if isinstance(raw, str) else raw,
            source_ip=str((request.context.get("identity") or {}).get("sourceIp", "")),
            time_left=time_left_in(self.lambda_context),
            backend=wiring,
        )


def _refused(request: Request, dialect: Dialect, route: Route) -> Answer | None:
    refused = refusal_of(request, route.scope, dialect)
    return None if refused is None else for_browsers(request, route.scope, refused)


def _response(answer: Answer) -> Response:
    return Response(body=answer.body, headers=dict(answer.headers), status_code=answer.status)


app = Clew(DIALECTS)
app.register_blueprint(consumer)
app.register_blueprint(schedules)
