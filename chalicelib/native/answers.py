"""The native query API: what each route asks the tables, and shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chalicelib import config
from chalicelib.errors import InvalidQuery
from chalicelib.http.answering import Answering, Reply
from chalicelib.http.respond import takes_media_type
from chalicelib.native import columns, render
from chalicelib.native.parse import Parameters, search_from, trace_id_parameter
from chalicelib.query.parameters import checked_text

if TYPE_CHECKING:
    from chalicelib.http.answer import Answer
    from chalicelib.http.request import QueryRequest, Request
    from chalicelib.queue.sqs_redrive import DeadLetterQueue

_SAMPLE_SECONDS_MAX, _SAMPLE_CPU_SECONDS_MAX = 5, 2
"""A sample of attributes may take so long: somebody types meanwhile."""
_VARY_OF_TRACE = "Accept, Accept-Encoding"


@Answering
def get_traces(request: QueryRequest) -> Any:
    """A page of the traces of which one span meets every condition."""
    from chalicelib.query.search import search_traces

    search = search_from(request.parameters, request.now_unix_nano)
    found = search_traces(request.store, search, request.now_unix_seconds, request.time_left)
    return render.search_json(found)


@Answering
def get_trace(request: QueryRequest) -> Reply:
    """A trace's spans, as OTLP/JSON, or a page of them in columns where Accept asks for these."""
    if takes_media_type(request.headers, columns.MEDIA_TYPE):
        return Reply(_trace_as_columns(request), media_type=columns.MEDIA_TYPE, vary=_VARY_OF_TRACE)
    return Reply(_trace_as_otlp(request), vary=_VARY_OF_TRACE)


def _trace_as_otlp(request: QueryRequest) -> Any:
    from chalicelib.present.otlp_json import streamed_traces_data
    from chalicelib.query.trace import trace_by_id

    parameters = Parameters(request.parameters, ("chunk", "span_id"))
    trace_id, now_unix_seconds = _trace_id(request), request.now_unix_seconds
    chunk_keys, span_ids = parameters.chunk_keys(), parameters.span_ids()
    spans = trace_by_id(request.store, trace_id, now_unix_seconds, chunk_keys, span_ids)
    return streamed_traces_data(spans)


def _trace_as_columns(request: QueryRequest) -> Any:
    from chalicelib.query.trace import trace_chunks, trace_page

    parameters = Parameters(request.parameters, ("cursor", "chunk", "attributes"))
    store, now_unix_seconds = request.store, request.now_unix_seconds
    trace_id = _trace_id(request)
    cursor, chunk_keys = parameters.text("cursor"), parameters.chunk_keys()
    with_attributes = parameters.flag("attributes")
    if chunk_keys:
        if cursor:
            raise InvalidQuery("cursor is for pages, not for chunks", "cursor")
        page = trace_chunks(
            store, trace_id, now_unix_seconds, chunk_keys, with_attributes=with_attributes
        )
    else:
        page = trace_page(
            store, trace_id, now_unix_seconds, cursor, with_attributes=with_attributes
        )
    return columns.streamed_columns(page, with_attributes=with_attributes)


def _trace_id(request: QueryRequest) -> bytes:
    return trace_id_parameter(request.path["trace_id"])


def _service(request: QueryRequest) -> str:
    return checked_text(request.path["service"], "service")


@Answering
def get_services(request: QueryRequest) -> Any:
    """The services with spans in a range."""
    from chalicelib.query.services import services_between

    within = Parameters(request.parameters, ("start", "end")).listed_range(request.now_unix_nano)
    return render.services_json(services_between(request.store, within, request.now_unix_seconds))


@Answering
def get_span_names(request: QueryRequest) -> Any:
    """A service's span names and kinds in a range."""
    from chalicelib.query.statistics import span_names

    within = Parameters(request.parameters, ("start", "end")).listed_range(request.now_unix_nano)
    names = span_names(request.store, _service(request), within, request.now_unix_seconds)
    return render.span_names_json(names)


def _get_attributes(request: QueryRequest) -> Any:
    from chalicelib.query.attributes import attributes_of_service

    within = Parameters(request.parameters, ("start", "end")).time_range(request.now_unix_nano)
    sample = attributes_of_service(
        request.store, _service(request), within, request.now_unix_seconds, request.time_left
    )
    return render.attributes_json(sample)


get_attributes = Answering(
    _get_attributes, search_seconds=lambda: (_SAMPLE_SECONDS_MAX, _SAMPLE_CPU_SECONDS_MAX)
)
"""The attributes of a sample of a service's newest traces in a range."""


@Answering
def get_statistics(request: QueryRequest) -> Any:
    """A service's calls, errors and durations over time."""
    from chalicelib.query.statistics import statistics

    parameters = Parameters(request.parameters, ("start", "end", "step"))
    within = parameters.time_range(request.now_unix_nano)
    step_nano = parameters.duration_nano("step")
    found = statistics(
        request.store, _service(request), within, step_nano, request.now_unix_seconds
    )
    return render.streamed_statistics(found)


@Answering
def get_edges(request: QueryRequest) -> Any:
    """Calls between services in a range."""
    from chalicelib.query.edges import edges

    within = Parameters(request.parameters, ("start", "end")).time_range(request.now_unix_nano)
    found = edges(request.store, within, request.now_unix_seconds, request.half_edges)
    return render.edges_json(found)


def get_dead_letters(request: Request) -> Answer:
    """A page of the messages that could not be stored."""

    def ask(query: QueryRequest) -> Any:
        return _dead_letters(query, request.backend.dead_letter_queue())

    return Answering(ask)(request)


def _dead_letters(request: QueryRequest, queue: DeadLetterQueue) -> Any:
    from chalicelib.query.dead_letters import dead_letters

    parameters = Parameters(request.parameters, ("limit", "cursor"))
    limit = parameters.integer(
        "limit", config.DEAD_LETTERS_LIMIT_DEFAULT, 1, config.DEAD_LETTERS_LIMIT_MAX
    )
    cursor = parameters.text("cursor")
    found = dead_letters(request.store, queue, request.now_unix_seconds, limit, cursor)
    return render.dead_letters_json(found)
