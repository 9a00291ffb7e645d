"""Every route of Clew: a line or two into `chalicelib` each, which imports its stage on first use.

Here it is decided who may, and a query's errors become HTTP statuses; an OTLP sender's do in `receive/endpoint.py`.
`docs/glossary.md` has the words, `/openapi.json` the API.
"""

from __future__ import annotations

import base64
import logging
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from http import HTTPStatus
from importlib import import_module
from threading import get_ident
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from chalice.app import Chalice, CORSConfig, Response

from chalicelib import config, errors, wiring
from chalicelib.access import Decision, presented_in
from chalicelib.collector import collector_paused
from chalicelib.model.http import JAEGER_ROUTES, ZIPKIN_CONFIG_PATHS, ZIPKIN_ROUTES
from chalicelib.model.token import Scope
from chalicelib.store.function import consumer
from chalicelib.summarise.function import schedules

if TYPE_CHECKING:
    from chalice.app import Request

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
        return {**response, "headers": {**_SECURITY_HEADERS, **response["headers"]}}


_SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
"""Of every answer; the web UI, which runs, has a Content-Security-Policy of its own."""


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
_CORS = CORSConfig(
    allow_origin="*",
    allow_headers=["Accept", "Content-Type", "Content-Encoding", "Authorization", "X-Api-Key"],
    max_age=600,
)


_View = Callable[..., Response]


def _route(
    path: str, *methods: str, scope: Scope | None, in_plain_text: bool = False
) -> Callable[[_View], _View]:
    """A route for who has a token of this scope; for everyone if it is None.

    Who is refused is told so in plain text, or in OTLP's or the native API's words.
    """

    def register(view: _View) -> _View:
        @wraps(view)
        def guarded(**path_parameters: str) -> Response:
            refused = _refused(scope, in_plain_text=in_plain_text) if scope else None
            return refused or view(**path_parameters)

        app.route(path, methods=list(methods), content_types=_ANY_TYPE, cors=_CORS)(guarded)
        return guarded

    return register


def _refused(scope: Scope, *, in_plain_text: bool) -> Response | None:
    """What is answered to a request without a token of this scope; None if it has one, or none is wanted."""
    try:
        access = wiring.access()
        decision = access.decide(presented_in(_headers()), scope) if access else Decision.GRANTED
    except Exception as error:
        # Never a 401, and never a 500: on either a sender would drop spans that it may well be allowed to send.
        _logger.warning("no telling who asks: %s", error)
        message = "tokens cannot be checked now: try again"
        return _refusal(scope, in_plain_text, 503, "unavailable", message)
    if decision is Decision.GRANTED:
        return None
    if decision is Decision.FORBIDDEN:
        message = f"this token is not for this: use one with the scope {scope.value!r}"
        return _refusal(scope, in_plain_text, 403, "forbidden", message)
    message = "a token is needed, as `Authorization: Bearer TOKEN` or `x-api-key: TOKEN`"
    if presented_in(_headers()):
        message = "this token is not known here, or was revoked"
    response = _refusal(scope, in_plain_text, 401, "unauthorized", message)
    response.headers["WWW-Authenticate"] = "Bearer"
    return response


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
        return _response(receive())
    except Exception:
        _logger.exception("spans not accepted")
        return _response(unavailable(_headers(), _body()))


def _time(seconds: float, cpu_seconds: float) -> Callable[[], bool]:
    """Whether a question that begins now still has time: by the clock, by the processor, and by what the function has
    left, which on a laptop is nothing once the asker has gone."""
    ends, cpu_ends = time.monotonic() + seconds, time.thread_time() + cpu_seconds
    thread, context = get_ident(), app.lambda_context

    def has_time() -> bool:
        if time.monotonic() >= ends or (get_ident() == thread and time.thread_time() >= cpu_ends):
            return False
        left: float = context.get_remaining_time_in_millis() if context else sys.maxsize
        return left >= _LEFT_MILLISECONDS_MIN

    return has_time


def _budget() -> Budget:
    """What answering this request may take."""
    from chalicelib.budget import Budget

    has_time = _time(config.ANSWER_SECONDS_MAX, config.ANSWER_CPU_SECONDS_MAX)
    return Budget(has_time, between=getattr(app.lambda_context, "between", None))


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
        )
    )


def _tell_rejected(spans: int) -> None:
    from chalicelib.telemetry import emit

    emit("receive", {"spans_rejected": spans})


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
    return _response(
        receive_plain(
            _headers(),
            _body(),
            now,
            readers,
            lambda messages: wiring.sender().send(messages),
            _tell_rejected,
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
        import orjson

        try:
            document = orjson.loads(_body())
        except orjson.JSONDecodeError as error:
            raise errors.InvalidPayload(f"the body is not JSON: {error}") from error
        return wiring.strategies().replace(document)

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
        parameters = Parameters(_parameters(), ("start", "end"))
        now = time.time_ns()
        asked = parameters.time_range(now, config.RETENTION_SECONDS * 10**9)
        return services_json(services_between(store, asked, now // 10**9))

    return _query_store(ask)


@_route("/v1/services/{service}/span_names", "GET", scope=Scope.READ)
def get_span_names(service: str) -> Response:
    from chalicelib.present.native import span_names_json
    from chalicelib.query.parameters import Parameters, checked_text
    from chalicelib.query.statistics import span_names

    def ask(store: ItemStore) -> Any:
        now = time.time_ns()
        parameters = Parameters(_parameters(), ("start", "end"))
        asked = parameters.time_range(now, config.RETENTION_SECONDS * 10**9)
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
