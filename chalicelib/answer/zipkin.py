"""Zipkin's query API, as its UI and Grafana's data source ask it: JSON, and errors as a line of plain text.

Source: openzipkin/zipkin, ZipkinQueryApiV2.java.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from chalicelib import config
from chalicelib.answer.refused import status_and_message
from chalicelib.budget import Held
from chalicelib.collector import collector_paused
from chalicelib.errors import NotFound
from chalicelib.model.edges import EdgeKind
from chalicelib.present import zipkin as present
from chalicelib.present.respond import streamed_answer, warned
from chalicelib.present.stream import Array
from chalicelib.query import zipkin as query
from chalicelib.query.edges import call_counts
from chalicelib.query.parameters import listed_range
from chalicelib.query.search import Searcher, certain
from chalicelib.query.services import services_between
from chalicelib.query.statistics import span_names
from chalicelib.query.trace import trace_by_id, traces_by_id
from chalicelib.receive.plain_endpoint import text
from chalicelib.store.metered import budget_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from chalicelib.answer.asked import Asked
    from chalicelib.model.edges import CallCounts
    from chalicelib.model.http import Answer
    from chalicelib.model.span import Span
    from chalicelib.query.parameters import Range
    from chalicelib.store.search_row import SearchRow

    Made = Callable[[present.Json], bytes | None]
    """What is kept of a span, as Zipkin's JSON has it."""


_CACHED_NAMES_MIN = 4
"""Fewer are not cached: who has just begun would wonder where the new ones are."""
_CACHE_CONTROL = "max-age=300, must-revalidate"
_SAMPLED_TRACES = 100
"""The newest traces whose values of a tag are offered."""


class _Wanted:
    """A question's conditions for the search; keeps the trace that it has found last, as JSON."""

    def __init__(self, question: query.Question, made: Made) -> None:
        self._made = made
        self.found: list[bytes] = []
        """What `made` makes of its spans, where it makes anything."""
        self.made_bytes = 0
        """The bytes of that, and of what was too much to be kept."""
        self._question = question
        self._candidates = query.Candidates(question.row_conditions(present.TOLD_TAGS))
        self._end = question.search.range.end

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
        ordered = sorted(spans, key=lambda span: (span.start_time_unix_nano, span.span_id))
        self.found, self.made_bytes = [], 0
        return self._question.asks_for(self._seen(present.spans_json(ordered)), ordered)

    def _seen(self, trace: Iterable[present.Json]) -> Iterator[present.Json]:
        for span in trace:
            yield span
            if (made := self._made(span)) is not None:
                self.made_bytes += len(made)
                # A resource's tags are on each of its spans: a small trace may be a very large answer.
                if self.made_bytes <= config.TRACE_CONTENT_BYTES_MAX:
                    self.found.append(made)


class _Found:
    """An answer's document, and what it leaves out."""

    def __init__(self, document: Any, warnings: Sequence[str] = (), *, is_cached: bool = False):
        self.document = document
        self.warnings = warnings
        self.is_cached = is_cached


def _search(
    asked: Asked, question: query.Question, made: Made
) -> tuple[list[list[bytes]], list[str]]:
    """What is made of each span of every trace that is asked for, and what is left out. Raises as `certain` does."""
    wanted = _Wanted(question, made)
    result = Searcher(
        asked.store,
        question.search,
        asked.now_unix_seconds,
        asked.has_time,
        lambda _: wanted.found,
        wanted,
        held_by=lambda made, _: Held(content_bytes=wanted.made_bytes, parts=len(made)),
    ).run()
    return certain(result)


def get_traces(asked: Asked) -> _Found:
    question = query.question_of(asked.parameters, asked.now_nano)
    traces, warnings = _search(asked, question, orjson.dumps)
    return _Found(Array(map(Array, traces)), warnings)


def get_trace(asked: Asked) -> _Found:
    trace_id = query.trace_id(asked.path["trace_id"])
    try:
        spans = trace_by_id(asked.store, trace_id, asked.now_unix_seconds)
    except NotFound as error:
        raise NotFound(f"{present.trace_id_text(trace_id)} not found") from error
    return _Found(present.streamed_trace(spans))


def get_trace_many(asked: Asked) -> _Found:
    """Those that are there."""
    trace_ids = query.trace_ids(asked.parameters)
    found = traces_by_id(asked.store, trace_ids, asked.now_unix_seconds)
    return _Found(Array(present.streamed_trace(spans) for _, spans in found if spans))


def _services(asked: Asked) -> list[str]:
    """As they are listed elsewhere: in whatever case."""
    return list(services_between(asked.store, listed_range(asked.now_nano), asked.now_unix_seconds))


def _names(found: Iterable[str]) -> _Found:
    names = sorted({name.lower() for name in found if name})
    return _Found(names, is_cached=len(names) >= _CACHED_NAMES_MIN)


def get_services(asked: Asked) -> _Found:
    return _names(_services(asked))


def get_span_names(asked: Asked) -> _Found:
    wanted = query.spellings(query.required(asked.parameters, "serviceName"))
    names: list[str] = []
    for service in _services(asked):
        if service.lower() in wanted:
            found = span_names(
                asked.store, service, listed_range(asked.now_nano), asked.now_unix_seconds
            )
            names += [name for name, _ in found]
    return _names(names)


def get_remote_services(asked: Asked) -> _Found:
    wanted = query.spellings(query.required(asked.parameters, "serviceName"))
    counts = _call_counts(asked, listed_range(asked.now_nano))
    return _names(
        callee
        for caller, callee, kind in counts
        if caller.lower() in wanted and kind != EdgeKind.PARENT
    )


def get_dependencies(asked: Asked) -> _Found:
    within = query.dependencies_range(asked.parameters)
    return _Found(present.links_json(_call_counts(asked, within)))


def _call_counts(asked: Asked, within: Range) -> CallCounts:
    return call_counts(asked.store, within, asked.now_unix_seconds, asked.remembered)


def get_autocomplete_keys(asked: Asked) -> _Found:
    return _Found(sorted(config.ZIPKIN_AUTOCOMPLETE_KEYS), is_cached=True)


def get_autocomplete_values(asked: Asked) -> _Found:
    """Values of the newest traces of a day that have the tag."""
    key = query.required(asked.parameters, "key")
    if key not in config.ZIPKIN_AUTOCOMPLETE_KEYS:
        return _Found([])
    question = query.question_of({}, asked.now_nano)
    question = question._replace(terms={key: ""}, limit=_SAMPLED_TRACES)

    def value_in(span: present.Json) -> bytes | None:
        value: str | None = span.get("tags", {}).get(key)
        return None if value is None else value.encode()

    traces, warnings = _search(asked, question, value_in)
    values = sorted({value.decode() for trace in traces for value in trace})
    return _Found(values, warnings, is_cached=len(values) >= _CACHED_NAMES_MIN)


def _answering(ask: Callable[[Asked], _Found]) -> Callable[[Asked], Answer]:
    def answer(asked: Asked) -> Answer:
        try:
            with collector_paused():
                found = ask(asked)
                answer = streamed_answer(
                    found.document, asked.headers, budget=budget_of(asked.store)
                )
        except Exception as error:
            return text(*status_and_message(error))
        if found.is_cached:
            answer.headers["Cache-Control"] = _CACHE_CONTROL
        return warned(answer, found.warnings)

    return answer


ANSWERS: dict[str, Callable[[Asked], Answer]] = {
    route: _answering(ask)
    for route, ask in {
        "GET /api/v2/services": get_services,
        "GET /api/v2/spans": get_span_names,
        "GET /api/v2/remoteServices": get_remote_services,
        "GET /api/v2/traces": get_traces,
        "GET /api/v2/trace/{trace_id}": get_trace,
        "GET /api/v2/traceMany": get_trace_many,
        "GET /api/v2/dependencies": get_dependencies,
        "GET /api/v2/autocompleteKeys": get_autocomplete_keys,
        "GET /api/v2/autocompleteValues": get_autocomplete_values,
    }.items()
}
"""Method and path, as `app.py` lists them → the answer. Nothing is raised."""
