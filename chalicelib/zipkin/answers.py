"""Zipkin's query API, as its UI and Grafana's data source ask it: JSON, and errors as a line of plain text.

Source: openzipkin/zipkin, ZipkinQueryApiV2.java.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from chalicelib import config
from chalicelib.budget import Held
from chalicelib.errors import NotFound
from chalicelib.http.answering import Answering, Reply
from chalicelib.http.stream import Array
from chalicelib.http.text import text
from chalicelib.model.edges import EdgeKind
from chalicelib.query.edges import call_counts
from chalicelib.query.parameters import listed_range
from chalicelib.query.search import Searcher, certain
from chalicelib.query.services import services_between
from chalicelib.query.statistics import span_names
from chalicelib.query.trace import trace_by_id, traces_by_id
from chalicelib.zipkin import parse, render
from chalicelib.zipkin.match import Candidates, Question, spellings
from chalicelib.zipkin.span import TOLD_TAGS, trace_id_text, zipkin_spans

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from chalicelib.http.request import QueryRequest
    from chalicelib.model.edges import CallCounts
    from chalicelib.model.span import Span
    from chalicelib.query.parameters import Range
    from chalicelib.store.search_row import SearchRow
    from chalicelib.zipkin.span import ZipkinSpan

    Made = Callable[[ZipkinSpan], bytes | None]
    """What an answer keeps of a span."""


_CACHED_NAMES_MIN = 4
"""Fewer are not cached: who has just begun would wonder where the new ones are."""
_CACHE_CONTROL = "max-age=300, must-revalidate"
_SAMPLED_TRACES = 100
"""The newest traces whose values of a tag are offered."""


_TAGS_KEPT_MAX = 20_000
"""So many tags of a trace stay in memory between the check of its spans and their answer; they are read again else."""


class _Wanted:
    """A question's conditions for the search, and what the answer keeps of the trace that met them last."""

    def __init__(self, question: Question, made: Made) -> None:
        self._made = made
        self._question = question
        self._candidates = Candidates(question.row_conditions(TOLD_TAGS))
        self._end = question.search.range.end
        self._stored: Sequence[Span] = ()
        self._spans: list[ZipkinSpan] | None = None
        """The same spans in Zipkin's model; None where their tags are too many to be kept."""
        self.made_bytes = 0
        """The bytes that `made` made of the last trace, with those that were too many to be kept."""

    def want_service(self, service: str) -> bool:
        return self._question.asks_for_service(service)

    def may_be_in(self, row: SearchRow) -> bool:
        return (
            row.first_start_time_unix_nano < self._end
            and self.want_service(row.service)
            and self._candidates.lead_to(row)
        )

    def are_met_by(self, spans: Sequence[Span]) -> bool:
        if not self._question.may_be_of(span.start_time_unix_nano for span in spans):
            return False
        self._stored = sorted(spans, key=lambda span: (span.start_time_unix_nano, span.span_id))
        return self._question.asks_for(self._kept(zipkin_spans(self._stored)), self._stored)

    def _kept(self, trace: Iterable[ZipkinSpan]) -> Iterator[ZipkinSpan]:
        spans: list[ZipkinSpan] = []
        tags = 0
        for span in trace:
            yield span
            tags += len(span.tags)
            if tags <= _TAGS_KEPT_MAX:
                spans.append(span)
        self._spans = spans if tags <= _TAGS_KEPT_MAX else None

    def made_of_last(self) -> list[bytes]:
        """What `made` makes of each span of the trace that met the conditions last, where it makes anything."""
        spans = zipkin_spans(self._stored) if self._spans is None else self._spans
        found = []
        self.made_bytes = 0
        for made in map(self._made, spans):
            if made is None:
                continue
            self.made_bytes += len(made)
            # A resource's tags are on each of its spans: a small trace may be a very large answer.
            if self.made_bytes <= config.TRACE_CONTENT_BYTES_MAX:
                found.append(made)
        return found


def _answering(ask: Callable[[QueryRequest], Reply]) -> Answering:
    """A handler whose errors are a line of plain text."""
    return Answering(ask, lambda _, failure: text(failure.status, failure.message))


def _search(
    request: QueryRequest, question: Question, made: Made
) -> tuple[list[list[bytes]], list[str]]:
    """What is made of each span of every trace that is asked for, and what is left out. Raises as `certain` does."""
    wanted = _Wanted(question, made)
    result = Searcher(
        request.store,
        question.search,
        request.now_unix_seconds,
        request.time_left,
        lambda _: wanted.made_of_last(),
        wanted,
        held_by=lambda made, _: Held(content_bytes=wanted.made_bytes, parts=len(made)),
    ).run()
    return certain(result)


@_answering
def get_traces(request: QueryRequest) -> Reply:
    question = parse.question_of(request.parameters, request.now_unix_nano)
    traces, warnings = _search(request, question, lambda span: orjson.dumps(render.span_json(span)))
    return Reply(Array(map(Array, traces)), warnings)


@_answering
def get_trace(request: QueryRequest) -> Reply:
    trace_id = parse.trace_id(request.path["trace_id"])
    try:
        spans = trace_by_id(request.store, trace_id, request.now_unix_seconds)
    except NotFound as error:
        raise NotFound(f"{trace_id_text(trace_id)} not found") from error
    return Reply(render.streamed_trace(spans))


@_answering
def get_trace_many(request: QueryRequest) -> Reply:
    """The traces among these that are there."""
    trace_ids = parse.trace_ids(request.parameters)
    found = traces_by_id(request.store, trace_ids, request.now_unix_seconds)
    return Reply(Array(render.streamed_trace(spans) for _, spans in found if spans))


def _services(request: QueryRequest) -> list[str]:
    """The services as they are listed elsewhere: in whatever case."""
    return list(
        services_between(
            request.store, listed_range(request.now_unix_nano), request.now_unix_seconds
        )
    )


def _cache_control(names: Sequence[str]) -> str:
    return _CACHE_CONTROL if len(names) >= _CACHED_NAMES_MIN else ""


def _names(found: Iterable[str]) -> Reply:
    names = sorted({name.lower() for name in found if name})
    return Reply(names, cache_control=_cache_control(names))


@_answering
def get_services(request: QueryRequest) -> Reply:
    return _names(_services(request))


@_answering
def get_span_names(request: QueryRequest) -> Reply:
    wanted = spellings(parse.required(request.parameters, "serviceName"))
    names: list[str] = []
    for service in _services(request):
        if service.lower() in wanted:
            found = span_names(
                request.store,
                service,
                listed_range(request.now_unix_nano),
                request.now_unix_seconds,
            )
            names += [name for name, _ in found]
    return _names(names)


@_answering
def get_remote_services(request: QueryRequest) -> Reply:
    wanted = spellings(parse.required(request.parameters, "serviceName"))
    counts = _call_counts(request, listed_range(request.now_unix_nano))
    return _names(
        callee
        for caller, callee, kind in counts
        if caller.lower() in wanted and kind != EdgeKind.PARENT
    )


@_answering
def get_dependencies(request: QueryRequest) -> Reply:
    within = parse.dependencies_range(request.parameters)
    return Reply(render.links_json(_call_counts(request, within)))


def _call_counts(request: QueryRequest, within: Range) -> CallCounts:
    return call_counts(request.store, within, request.now_unix_seconds, request.half_edges)


@_answering
def get_autocomplete_keys(request: QueryRequest) -> Reply:
    return Reply(sorted(config.ZIPKIN_AUTOCOMPLETE_KEYS), cache_control=_CACHE_CONTROL)


@_answering
def get_autocomplete_values(request: QueryRequest) -> Reply:
    """Values of the newest traces of a day that have the tag."""
    key = parse.required(request.parameters, "key")
    if key not in config.ZIPKIN_AUTOCOMPLETE_KEYS:
        return Reply([])
    question = parse.question_of({}, request.now_unix_nano)
    question = question._replace(terms={key: ""}, limit=_SAMPLED_TRACES)

    def value_in(span: ZipkinSpan) -> bytes | None:
        value = span.tags.get(key)
        return None if value is None else value.encode()

    traces, warnings = _search(request, question, value_in)
    values = sorted({value.decode() for trace in traces for value in trace})
    return Reply(values, warnings, cache_control=_cache_control(values))
