"""Every route of Clew: a line or two into `chalicelib` each, which imports its stage on first use.

Here it is decided who may, and a query's errors become HTTP statuses; an OTLP sender's do in `receive/endpoint.py`.
`docs/glossary.md` has the words, `/openapi.json` the API.
"""

from __future__ import annotations

import base64
import logging
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from http import HTTPStatus
from importlib import import_module
from threading import get_ident
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote

from chalice.app import Chalice, Request, Response

from chalicelib import config, cross_origin, errors, wiring
from chalicelib.access import Decision, presented_in
from chalicelib.collector import collector_paused
from chalicelib.functions.consume import consumer
from chalicelib.functions.summarise import schedules
from chalicelib.model.http import JAEGER_ROUTES, ZIPKIN_CONFIG_PATHS, ZIPKIN_ROUTES
from chalicelib.model.token import Scope

if TYPE_CHECKING:
    from chalicelib.answer.asked import Asked
    from chalicelib.budget import Budget
    from chalicelib.model.http import Answer
    from chalicelib.receive.otlp import Normalised
    from chalicelib.store.items import ItemStore

_logger = logging.getLogger(__name__)

_SAMPLE_SECONDS_MAX, _SAMPLE_CPU_SECONDS_MAX = 5, 2
"""Somebody types meanwhile."""
_LEFT_MILLISECONDS_MIN = 1_500
"""Of the function's time: an answer that is begun must be compressed, and leave."""


class Clew(Chalice):
    def __call__(self, event: Any, context: Any) -> Any:
        """As Chalice's, for requests without an Accept header too, such as those of Go's OTLP exporter.

        Chalice answers them 400 *after the view has run*: spans would be stored, and their sender told that they were
        not. And whether API Gateway decodes a base64 answer to them is not said anywhere: what is text goes as text.
        Whatever answers, a browser is told to make no more of it than it is.
        """
        if _accepts(event):
            response = super().__call__(event, context)
        else:
            response = _as_text(super().__call__(_accepting_all(event), context))
        return _secured(response)

    def refusal(self, event: Any, context: Any) -> dict[str, Any] | None:
        """What a request is answered by its headers alone; None if it may send its body. `event` has none.

        For who serves HTTP itself, and must not read what nobody may send: API Gateway reads all before it calls.
        """
        self.current_request = Request(event, context)
        self.lambda_context = context
        refused = _REFUSALS[event["resource"], event["httpMethod"]]()
        return None if refused is None else _secured(refused.to_dict(self.api.binary_types))


_SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
"""Of every answer; the web UI, which runs, has a Content-Security-Policy of its own."""
if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
    # Behind API Gateway, which speaks nothing but HTTPS; a laptop speaks none.
    _SECURITY_HEADERS["Strict-Transport-Security"] = "max-age=31536000"


def _secured(response: dict[str, Any]) -> dict[str, Any]:
    return {**response, "headers": {**_SECURITY_HEADERS, **response["headers"]}}


def _as_text(response: dict[str, Any]) -> dict[str, Any]:
    """The same response, its body as text if it is that."""
    if response.get("isBase64Encoded"):
        with suppress(UnicodeDecodeError):
            text = base64.b64decode(response["body"]).decode()
            return {**response, "body": text, "isBase64Encoded": False}
    return response


def _accepts(event: dict[str, Any]) -> bool:
    return any(name.lower() == "accept" for name in event.get("headers") or {})


def _accepting_all(event: dict[str, Any]) -> dict[str, Any]:
    """The event with an Accept header; and without Accept-Encoding, for gzip would be no text."""
    accepting = dict(event)
    for name, accept in (("headers", "*/*"), ("multiValueHeaders", ["*/*"])):
        sent = (event.get(name) or {}).items()
        kept = {key: value for key, value in sent if key.lower() != "accept-encoding"}
        accepting[name] = {**kept, "Accept": accept}
    return accepting


app = Clew(app_name="clew")
# Every body is bytes: protobuf, gzip, and JSON alike.
app.api.binary_types = ["*/*"]
app.register_blueprint(consumer)
app.register_blueprint(schedules)

_ANY_TYPE = ["*/*"]
_SCOPES: dict[str, dict[str, Scope | None]] = {}
"""Path → method → what a token for it must be good for; None: it is for everyone."""


_View = Callable[..., Response]
_REFUSALS: dict[tuple[str, str], Callable[[], Response | None]] = {}
"""Path and method → why a request may not, by its headers."""


def _route(
    path: str, *methods: str, scope: Scope | None, in_plain_text: bool = False
) -> Callable[[_View], _View]:
    """A route for who has a token of this scope; for everyone if it is None.

    Who is refused is told so in plain text, or in OTLP's or the native API's words. What a page of another origin may
    do is decided here for every route: spans may be sent from anywhere, everything else is for Clew's own pages.
    """

    def register(view: _View) -> _View:
        def refused() -> Response | None:
            if scope is None or (why := _refused(scope)) is None:
                return None
            return _for_browsers(_told(why, scope, in_plain_text=in_plain_text), scope)

        @wraps(view)
        def guarded(**path_parameters: str) -> Response:
            if response := refused():
                return response
            response = view(**path_parameters)
            if scope is Scope.CONFIGURE and response.status_code < HTTPStatus.BAD_REQUEST:
                _tell("done")
            return _for_browsers(response, scope)

        _REFUSALS.update({(path, method): refused for method in methods})
        if path not in _SCOPES:
            # API Gateway's own answers to preflights are constant, and so could not name an origin.
            app.route(path, methods=["OPTIONS"], content_types=_ANY_TYPE)(_preflight)
            _REFUSALS[path, "OPTIONS"] = lambda: None
        _SCOPES.setdefault(path, {}).update(dict.fromkeys(methods, scope))
        app.route(path, methods=list(methods), content_types=_ANY_TYPE)(guarded)
        return guarded

    return register


def _is_for_every_page(scope: Scope | None, method: str) -> bool:
    return scope is Scope.INGEST and method == "POST"


def _for_browsers(response: Response, scope: Scope | None) -> Response:
    """The same response, which says whether a page of another origin may read it."""
    for_everyone = _is_for_every_page(scope, _request().method)
    said = cross_origin.cors_headers(_headers(), config.UI_ORIGINS, for_everyone=for_everyone)
    if vary := said.pop("Vary", ""):
        own = str(response.headers.get("Vary", ""))
        response.headers["Vary"] = f"{own}, {vary}" if own else vary
    if not for_everyone:
        # Nor may another page have it as a picture or a script.
        said["Cross-Origin-Resource-Policy"] = "same-origin"
    response.headers.update(said)
    return response


def _preflight(**_: str) -> Response:
    """What a browser asks before it sends what a page of another origin wants sent."""
    scopes = _SCOPES[_request().context["resourcePath"]]
    method = _headers().get("access-control-request-method", "")
    headers = cross_origin.preflight_headers(
        _headers(),
        config.UI_ORIGINS,
        scopes,
        for_everyone=_is_for_every_page(scopes.get(method), method),
    )
    return Response(b"", dict(headers))


class _Refused(NamedTuple):
    """Why a request may not."""

    status: int
    code: str
    message: str
    why: str = ""
    """For the log: in words of ours alone. Empty: there is nobody to tell of."""


def _refused(scope: Scope) -> _Refused | None:
    """Why this request may not; None if it may."""
    if refused := _foreign(scope) or _refused_for_its_token(scope):
        return refused
    if scope is Scope.CONFIGURE and not cross_origin.needed_a_preflight(_headers()):
        message = "what changes something needs a header that no form can send: `X-Clew-Request: 1`"
        return _Refused(403, "forbidden", message, "no header that needs a preflight")
    return None


def _foreign(scope: Scope) -> _Refused | None:
    """Pages of other origins may send, and lead somebody here by a link."""
    request, headers = _request(), _headers()
    if _is_for_every_page(scope, request.method):
        return None
    if not cross_origin.is_foreign(headers, config.UI_ORIGINS):
        return None
    if scope is not Scope.CONFIGURE and cross_origin.is_link(request.method, headers):
        return None
    message = "pages of other origins may only send spans here: CLEW_UI_ORIGINS names those that may do more"
    return _Refused(403, "forbidden", message, "a page of another origin")


def _refused_for_its_token(scope: Scope) -> _Refused | None:
    """Unless it shows a token of this scope, or none is wanted."""
    try:
        access = wiring.access()
        decision = access.decide(presented_in(_headers()), scope) if access else Decision.GRANTED
    except Exception as error:
        # Never a 401, and never a 500: on either a sender would drop spans that it may well be allowed to send.
        _logger.warning("no telling who asks: %s", error)
        return _Refused(503, "unavailable", "tokens cannot be checked now: try again")
    match decision:
        case Decision.GRANTED:
            return None
        case Decision.FORBIDDEN:
            message = f"this token is not for this: use one with the scope {scope.value!r}"
            return _Refused(403, "forbidden", message, f"no token of the scope {scope.value}")
        case Decision.EXPIRED:
            return _Refused(401, "unauthorized", "this token has expired", "an expired token")
    if presented_in(_headers()):
        message = "this token is not known here, or was revoked"
        return _Refused(401, "unauthorized", message, "an unknown token")
    message = "a token is needed, as `Authorization: Bearer TOKEN` or `x-api-key: TOKEN`"
    return _Refused(401, "unauthorized", message, "no token")


def _told(refused: _Refused, scope: Scope, *, in_plain_text: bool) -> Response:
    """What is answered to who may not; it is told to who runs this, too."""
    if refused.why:
        _tell("refused", f"{refused.status} {refused.why}")
    response = _refusal(scope, in_plain_text, refused.status, refused.code, refused.message)
    if refused.status == HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def _tell(kind: str, why: str = "") -> None:
    from chalicelib.audit import AUDIT, Event

    request, access = _request(), wiring.access()
    route = f"{request.method} {request.context['resourcePath']}"
    token_ids = access.ids_of(presented_in(_headers())) if access else []
    source_ip = str((request.context.get("identity") or {}).get("sourceIp", ""))
    AUDIT.tell(Event(kind, route, why, token_ids, source_ip))


def _refusal(scope: Scope, in_plain_text: bool, status: int, code: str, message: str) -> Response:
    """In the words of those who send, or of those who ask."""
    if in_plain_text:
        from chalicelib.receive.plain_endpoint import text

        return _response(text(status, message))
    if scope is Scope.INGEST:
        from chalicelib.receive.endpoint import refuse

        return _response(refuse(_headers(), _body(), status, message))
    return _query_error(status, code, message)


def _query_error(status: int, code: str, message: str, parameter: str | None = None) -> Response:
    """An error for those who ask; one that may pass says when to ask again."""
    from chalicelib.present.native import error_json
    from chalicelib.present.respond import json_answer

    answer = json_answer(error_json(code, message, parameter), _headers(), status)
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        answer.headers["Retry-After"] = str(config.RETRY_AFTER_SECONDS)
    return _response(answer)


def _request() -> Request:
    request = app.current_request
    assert request is not None
    return request


def _headers() -> dict[str, str]:
    return {name.lower(): value for name, value in _request().headers.items()}


def _body() -> bytes:
    body: bytes | str = _request().raw_body
    return body.encode() if isinstance(body, str) else body


def _parameters() -> dict[str, list[str]]:
    query = _request().query_params
    return {name: query.getlist(name) for name in query} if query else {}


def _response(answer: Answer) -> Response:
    return Response(body=answer.body, headers=dict(answer.headers), status_code=answer.status)


def _ingest(receive: Callable[[], Answer]) -> Response:
    """An ingest answer; what nobody foresaw is a 503, so that the sender keeps its spans."""
    from chalicelib.receive.endpoint import unavailable

    try:
        return _received(receive)
    except Exception:
        _logger.exception("spans not accepted")
        return _response(unavailable(_headers(), _body()))


def _received(receive: Callable[[], Answer]) -> Response:
    """What `receive` answers within the time that the function has left."""
    from chalicelib.receive.pieces import within

    with within(_has_time_left(app.lambda_context)):
        return _response(receive())


def _time(seconds: float, cpu_seconds: float) -> Callable[[], bool]:
    """Whether a question that begins now still has time: by the clock, by the processor, and by what the function has
    left, which on a laptop is nothing once the asker has gone."""
    ends, cpu_ends = time.monotonic() + seconds, time.thread_time() + cpu_seconds
    thread, has_time_left = get_ident(), _has_time_left(app.lambda_context)

    def has_time() -> bool:
        if time.monotonic() >= ends:
            return False
        if get_ident() != thread:
            # Who reads ahead: what the function has left may be told once others had their turn, of whole answers.
            return True
        if time.thread_time() >= cpu_ends:
            return False
        return has_time_left()

    return has_time


def _has_time_left(context: Any) -> Callable[[], bool]:
    """Whether the function has time left: on a laptop it has none once the client has gone, and waits for others."""

    def has_time_left() -> bool:
        left: float = context.get_remaining_time_in_millis() if context else sys.maxsize
        return left >= _LEFT_MILLISECONDS_MIN

    return has_time_left


def _budget() -> Budget:
    """What answering this request may take."""
    from chalicelib.budget import Budget

    return Budget(_time(config.ANSWER_SECONDS_MAX, config.ANSWER_CPU_SECONDS_MAX))


def _query_store(
    ask: Callable[[ItemStore], Any],
    media_type: str = "application/json",
    vary: str = "Accept-Encoding",
) -> Response:
    """As `_query`, of what `ask` makes of the tables, within a budget."""
    from chalicelib.store.metered import MeteredStore

    budget = _budget()
    return _query(lambda: ask(MeteredStore(wiring.store(), budget)), media_type, vary, budget)


def _query(
    ask: Callable[[], Any],
    media_type: str = "application/json",
    vary: str = "Accept-Encoding",
    budget: Budget | None = None,
) -> Response:
    """The JSON of what `ask` returns, or of why it cannot be had."""
    from chalicelib.present.respond import streamed_answer

    try:
        with collector_paused():
            answer = streamed_answer(
                ask(), _headers(), media_type=media_type, vary=vary, budget=budget
            )
        return _response(answer)
    except errors.TooMuchAsked as error:
        return _query_error(413, "response_too_large", str(error), error.parameter)
    except errors.OutOfTime as error:
        _logger.warning("query not answered: %s", error)
        return _query_error(503, "out_of_time", str(error))
    except errors.InvalidQuery as error:
        return _query_error(400, "invalid_query", str(error), error.parameter)
    except errors.InvalidPayload as error:
        return _query_error(400, "invalid_body", str(error))
    except errors.NotFound as error:
        return _query_error(404, "not_found", str(error))
    except errors.StoreThrottled as error:
        _logger.warning("query not answered: %s", error)
        return _query_error(503, "throttled", "the store is busy: ask again")
    except Exception:
        _logger.exception("query not answered")
        return _query_error(500, "internal", "this is a fault of Clew's: its log says more")


@_route("/v1/traces", "POST", scope=Scope.INGEST)
def post_traces() -> Response:
    from chalicelib.receive.endpoint import receive_traces

    now = int(time.time())
    return _ingest(
        lambda: receive_traces(
            _headers(),
            _body(),
            now,
            lambda messages: wiring.sender().send(messages),
            _tell_rejected,
            _tell_redacted,
        )
    )


def _tell_rejected(spans: int) -> None:
    from chalicelib.telemetry import emit

    emit("receive", {"spans_rejected": spans})


def _tell_redacted(values: int) -> None:
    from chalicelib.telemetry import emit

    emit("receive", {"values_redacted": values})


@_route("/api/traces", "POST", scope=Scope.INGEST, in_plain_text=True)
def post_jaeger_traces() -> Response:
    from chalicelib.receive.jaeger import payload_from_binary
    from chalicelib.receive.plain_endpoint import JAEGER_TYPES

    return _plain_spans(dict.fromkeys(JAEGER_TYPES, payload_from_binary))


@_route("/api/v2/spans", "POST", scope=Scope.INGEST, in_plain_text=True)
def post_plain_spans() -> Response:
    from chalicelib.receive.zipkin import payload_from_json, payload_from_proto

    return _plain_spans({"application/x-protobuf": payload_from_proto, "*/*": payload_from_json})


@_route("/api/v1/spans", "POST", scope=Scope.INGEST, in_plain_text=True)
def post_zipkin_v1_spans() -> Response:
    from chalicelib.receive.zipkin_v1 import payload_from_json, payload_from_thrift

    return _plain_spans({"application/x-thrift": payload_from_thrift, "*/*": payload_from_json})


def _plain_spans(readers: dict[str, Callable[[bytes], Normalised]]) -> Response:
    from chalicelib.receive.plain_endpoint import receive_plain

    now = int(time.time())
    return _received(
        lambda: receive_plain(
            _headers(),
            _body(),
            now,
            readers,
            lambda messages: wiring.sender().send(messages),
            _tell_rejected,
            _tell_redacted,
        )
    )


@_route("/v1/metrics", "POST", scope=Scope.INGEST)
def post_metrics() -> Response:
    from chalicelib.receive.endpoint import refuse_signal

    return _ingest(lambda: refuse_signal(_headers(), _body(), "metrics"))


@_route("/v1/logs", "POST", scope=Scope.INGEST)
def post_logs() -> Response:
    from chalicelib.receive.endpoint import refuse_signal

    return _ingest(lambda: refuse_signal(_headers(), _body(), "logs"))


@_route("/sampling", "GET", scope=Scope.INGEST, in_plain_text=True)
def get_jaeger_sampling() -> Response:
    return _sampling()


@_route("/api/sampling", "GET", scope=Scope.INGEST, in_plain_text=True)
def get_jaeger_collector_sampling() -> Response:
    return _sampling()


def _sampling() -> Response:
    """What a client's remote sampler asks for, in Jaeger's words."""
    from chalicelib.model.sampling import strategy_for
    from chalicelib.present.respond import json_answer
    from chalicelib.receive.plain_endpoint import text

    services = _parameters().get("service", [])
    if len(services) != 1:
        return _response(text(400, "'service' parameter must be provided once"))
    try:
        strategy = strategy_for(wiring.strategies().document(), services[0])
    except errors.StoreError as error:
        _logger.warning("no telling what to sample: %s", error)
        return _response(text(503, "the strategies cannot be read now: ask again"))
    return _response(json_answer(strategy, _headers()))


@_route("/v1/sampling", "GET", scope=Scope.READ)
def get_sampling() -> Response:
    return _query(lambda: wiring.strategies().document())


@_route("/v1/sampling", "PUT", scope=Scope.CONFIGURE)
def put_sampling() -> Response:
    def replace() -> Any:
        from chalicelib.model.sampling import document_from

        return wiring.strategies().replace(document_from(_body()))

    return _query(replace)


@_route("/v1/traces", "GET", scope=Scope.READ)
def get_traces() -> Response:
    from chalicelib.present.native import search_json
    from chalicelib.query.parameters import search_from
    from chalicelib.query.search import search_traces

    has_time = _time(config.SEARCH_SECONDS_MAX, config.SEARCH_CPU_SECONDS_MAX)

    def ask(store: ItemStore) -> Any:
        now = time.time_ns()
        search = search_from(_parameters(), now)
        return search_json(search_traces(store, search, now // 10**9, has_time))

    return _query_store(ask)


@_route("/v1/traces/{trace_id}", "GET", scope=Scope.READ)
def get_trace(trace_id: str) -> Response:
    from chalicelib.present.columns import MEDIA_TYPE
    from chalicelib.present.respond import takes_media_type

    vary = "Accept, Accept-Encoding"
    if takes_media_type(_headers(), MEDIA_TYPE):
        return _query_store(
            lambda store: _trace_as_columns(store, trace_id), media_type=MEDIA_TYPE, vary=vary
        )
    return _query_store(lambda store: _trace_as_otlp(store, trace_id), vary=vary)


def _trace_as_otlp(store: ItemStore, trace_id_text: str) -> Any:
    from chalicelib.present.otlp_json import streamed_traces_data
    from chalicelib.query.parameters import Parameters, trace_id_parameter
    from chalicelib.query.trace import trace_by_id

    parameters = Parameters(_parameters(), ("chunk", "span_id"))
    trace_id, now = trace_id_parameter(unquote(trace_id_text)), int(time.time())
    chunk_keys, span_ids = parameters.chunk_keys(), parameters.span_ids()
    return streamed_traces_data(trace_by_id(store, trace_id, now, chunk_keys, span_ids))


def _trace_as_columns(store: ItemStore, trace_id_text: str) -> Any:
    from chalicelib.present.columns import streamed_columns
    from chalicelib.query.parameters import Parameters, trace_id_parameter
    from chalicelib.query.trace import trace_chunks, trace_page

    parameters = Parameters(_parameters(), ("cursor", "chunk", "attributes"))
    trace_id, now = trace_id_parameter(unquote(trace_id_text)), int(time.time())
    cursor, chunk_keys = parameters.text("cursor"), parameters.chunk_keys()
    with_attributes = parameters.flag("attributes")
    if chunk_keys:
        if cursor:
            raise errors.InvalidQuery("cursor is for pages, not for chunks", "cursor")
        page = trace_chunks(store, trace_id, now, chunk_keys, with_attributes=with_attributes)
    else:
        page = trace_page(store, trace_id, now, cursor, with_attributes=with_attributes)
    return streamed_columns(page, with_attributes=with_attributes)


@_route("/v1/services", "GET", scope=Scope.READ)
def get_services() -> Response:
    from chalicelib.present.native import services_json
    from chalicelib.query.parameters import Parameters
    from chalicelib.query.services import services_between

    def ask(store: ItemStore) -> Any:
        now = time.time_ns()
        asked = Parameters(_parameters(), ("start", "end")).listed_range(now)
        return services_json(services_between(store, asked, now // 10**9))

    return _query_store(ask)


@_route("/v1/services/{service}/span_names", "GET", scope=Scope.READ)
def get_span_names(service: str) -> Response:
    from chalicelib.present.native import span_names_json
    from chalicelib.query.parameters import Parameters, checked_text
    from chalicelib.query.statistics import span_names

    def ask(store: ItemStore) -> Any:
        now = time.time_ns()
        asked = Parameters(_parameters(), ("start", "end")).listed_range(now)
        name = checked_text(unquote(service), "service")
        return span_names_json(span_names(store, name, asked, now // 10**9))

    return _query_store(ask)


@_route("/v1/services/{service}/attributes", "GET", scope=Scope.READ)
def get_attributes(service: str) -> Response:
    from chalicelib.present.native import attributes_json
    from chalicelib.query.attributes import attributes_of_service
    from chalicelib.query.parameters import Parameters, checked_text

    has_time = _time(_SAMPLE_SECONDS_MAX, _SAMPLE_CPU_SECONDS_MAX)

    def ask(store: ItemStore) -> Any:
        now = time.time_ns()
        asked = Parameters(_parameters(), ("start", "end")).time_range(now)
        name = checked_text(unquote(service), "service")
        sample = attributes_of_service(store, name, asked, now // 10**9, has_time)
        return attributes_json(sample)

    return _query_store(ask)


@_route("/v1/services/{service}/statistics", "GET", scope=Scope.READ)
def get_statistics(service: str) -> Response:
    from chalicelib.present.native import streamed_statistics
    from chalicelib.query.parameters import Parameters, checked_text
    from chalicelib.query.statistics import statistics

    def ask(store: ItemStore) -> Any:
        now = time.time_ns()
        parameters = Parameters(_parameters(), ("start", "end", "step"))
        asked, step = parameters.time_range(now), parameters.duration_nano("step")
        name = checked_text(unquote(service), "service")
        return streamed_statistics(statistics(store, name, asked, step, now // 10**9))

    return _query_store(ask)


@_route("/v1/edges", "GET", scope=Scope.READ)
def get_edges() -> Response:
    from chalicelib.present.native import edges_json
    from chalicelib.query.edges import edges
    from chalicelib.query.parameters import Parameters

    def ask(store: ItemStore) -> Any:
        now = time.time_ns()
        asked = Parameters(_parameters(), ("start", "end")).time_range(now)
        remembered = wiring.remembered_halves()
        return edges_json(edges(store, asked, now // 10**9, remembered))

    return _query_store(ask)


@_route("/v1/dead-letters", "GET", scope=Scope.READ)
def get_dead_letters() -> Response:
    from chalicelib.present.native import dead_letters_json
    from chalicelib.query.dead_letters import dead_letters
    from chalicelib.query.parameters import Parameters

    def ask(store: ItemStore) -> Any:
        parameters = Parameters(_parameters(), ("limit", "cursor"))
        limit = parameters.integer(
            "limit", config.DEAD_LETTERS_LIMIT_DEFAULT, 1, config.DEAD_LETTERS_LIMIT_MAX
        )
        cursor = parameters.text("cursor")
        queue = wiring.dead_letter_queue()
        return dead_letters_json(dead_letters(store, queue, int(time.time()), limit, cursor))

    return _query_store(ask)


@_route("/v1/dead-letters/redrive", "POST", scope=Scope.CONFIGURE)
def post_redrive() -> Response:
    from chalicelib.present.native import redrive_json

    return _query(lambda: redrive_json(wiring.dead_letter_queue().redrive()))


def _answer_as(dialect: str, route: str, *, in_plain_text: bool) -> None:
    """A route that one of `chalicelib/answer` answers."""
    method, _, path = route.partition(" ")

    @_route(path, method, scope=Scope.READ, in_plain_text=in_plain_text)
    def answer(**path_parameters: str) -> Response:
        answers = import_module(f"chalicelib.answer.{dialect}").ANSWERS
        return _response(answers[route](_asked(path_parameters)))


def _asked(path_parameters: dict[str, str]) -> Asked:
    from chalicelib.answer.asked import Asked
    from chalicelib.store.metered import MeteredStore

    return Asked(
        MeteredStore(wiring.store(), _budget()),
        {name: unquote(value) for name, value in path_parameters.items()},
        _parameters(),
        _headers(),
        _body(),
        time.time_ns(),
        _time(config.SEARCH_SECONDS_MAX, config.SEARCH_CPU_SECONDS_MAX),
        wiring.remembered_halves(),
    )


for _each in JAEGER_ROUTES:
    _answer_as("jaeger", _each, in_plain_text=False)
for _each in ZIPKIN_ROUTES:
    _answer_as("zipkin", _each, in_plain_text=True)


def _get_zipkin_config() -> Response:
    from chalicelib.present.zipkin import UI_CONFIG

    return _query(lambda: UI_CONFIG)


for _each in ZIPKIN_CONFIG_PATHS:
    _route(_each, "GET", scope=None)(_get_zipkin_config)


@_route("/openapi.json", "GET", scope=None)
def get_openapi() -> Response:
    from chalicelib.present.openapi import document

    return _query(document)


@_route("/health", "GET", "HEAD", scope=None)
def get_health() -> Response:
    if silent := wiring.health().silent():
        return _query_error(503, "unavailable", f"{' and '.join(silent)} cannot be asked now")
    return _query(lambda: {"status": "ok"})


@_route("/", "GET", "HEAD", scope=None)
def get_page() -> Response:
    from chalicelib.present.page import page
    from chalicelib.present.respond import html_answer
    from chalicelib.present.ui import page_answer

    path = _request().context.get("path") or "/"
    return _response(page_answer(path, _headers()) or html_answer(page(path)))


@_route("/assets/{name}", "GET", "HEAD", scope=None)
def get_asset(name: str) -> Response:
    from chalicelib.present.ui import asset_answer

    answer = asset_answer(name, _headers())
    return _response(answer) if answer else _query_error(404, "not_found", "there is no such asset")
