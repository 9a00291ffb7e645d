"""Jaeger's query API, first and third, as its UI and Grafana's data source ask it.

The first comes in an envelope, `{"data": …, "errors": …}`; the third is plain. Statistics are Clew's own: the Monitor
tab needs no Prometheus. Source: jaeger, http_handler.go, apiv3/http_gateway.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from chalicelib import config
from chalicelib.errors import InvalidPayload, InvalidQuery, NotFound
from chalicelib.http.answering import Answering, Reply
from chalicelib.http.respond import json_answer
from chalicelib.http.stream import form_of
from chalicelib.jaeger import parse, render
from chalicelib.jaeger.tags import TagConditions
from chalicelib.model.batch import spans_of
from chalicelib.model.measure import Measure, quantile_nano
from chalicelib.model.names import key_name
from chalicelib.model.span import KIND_NAMES, UNSPECIFIED, Scopes
from chalicelib.model.units import SECOND_NANO
from chalicelib.present.otlp_json import streamed_traces_data
from chalicelib.query.parameters import Range, checked_text, listed_range
from chalicelib.query.search import Searcher, certain, held_by_names
from chalicelib.query.services import services_between
from chalicelib.query.statistics import series_of, span_names, statistics
from chalicelib.query.trace import in_order, summary_of, trace_by_id, traces_by_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from chalicelib.budget import Held
    from chalicelib.http.answer import Answer
    from chalicelib.http.answering import Asker
    from chalicelib.http.errors import Failure
    from chalicelib.http.request import QueryRequest
    from chalicelib.http.stream import Form
    from chalicelib.model.span import Span
    from chalicelib.model.statistics import Statistics
    from chalicelib.query.statistics import ServiceStatistics
    from chalicelib.store.traces import SearchedTrace

_STEP_MILLISECONDS_MIN = 60_000
_REASONS_TOLD_MAX = 20
"""The reasons that are told of spans which an uploaded file has in vain."""
Found = TypeVar("Found")


def _is_pretty(request: Asker) -> bool:
    return parse.is_pretty(request.parameters)


def _telling(error_of: Callable[[int, str], Any]) -> Callable[[Asker, Failure], Answer]:
    def tell(request: Asker, failure: Failure) -> Answer:
        return json_answer(
            error_of(failure.status, failure.message),
            request.headers,
            failure.status,
            is_indented=_is_pretty(request),
        )

    return tell


def _first(ask: Callable[[QueryRequest], Any]) -> Answering:
    """A handler of the first API, whose errors come in its envelope."""
    return Answering(ask, _telling(render.error_envelope), _is_pretty)


def _third(ask: Callable[[QueryRequest], Any]) -> Answering:
    """A handler of the third API, whose errors are plain."""
    return Answering(ask, _telling(render.error_v3), _is_pretty)


def _services(request: QueryRequest) -> list[str]:
    return sorted(
        services_between(
            request.store, listed_range(request.now_unix_nano), request.now_unix_seconds
        )
    )


def _operations(request: QueryRequest, service: str) -> list[tuple[str, int]]:
    name = checked_text(service, "service")
    return span_names(
        request.store, name, listed_range(request.now_unix_nano), request.now_unix_seconds
    )


def _named_operations(request: QueryRequest) -> list[dict[str, str]]:
    service = request.first("service")
    if not service:
        raise InvalidQuery("parameter 'service' is required", "service")
    kind = parse.kind_asked(request.parameters)
    # An unspecified kind is what OpenTelemetry calls internal where it must be one.
    return [
        {"name": name, "spanKind": "internal" if each == UNSPECIFIED else KIND_NAMES[each]}
        for name, each in _operations(request, service)
        if kind in (None, each)
    ]


def _found(
    request: QueryRequest,
    question: parse.Question,
    answer_of: Callable[[list[Span]], Found],
    held_by: Callable[[Found, SearchedTrace], Held] = lambda _, trace: trace.held,
) -> tuple[list[Found], list[str]]:
    """What is made of every trace that is asked for, newest first, and what is left out. Raises as `certain` does."""
    conditions = TagConditions(question.search, question.tags)
    result = Searcher(
        request.store,
        question.search,
        request.now_unix_seconds,
        request.time_left,
        answer_of,
        conditions,
        held_by=held_by,
    ).run()
    return certain(result)


def _spans(request: QueryRequest) -> list[Span]:
    """The spans of the trace whose id is in the path. Raises NotFound in Jaeger's words."""
    try:
        trace_id = parse.trace_id(request.path["trace_id"])
        return trace_by_id(request.store, trace_id, request.now_unix_seconds)
    except NotFound as error:
        raise NotFound("trace not found") from error


def _trace(spans: Sequence[Span], form: Form | None = None, *, is_raw: bool) -> Any:
    skew_max_nano = config.CLOCK_SKEW_MAX_MILLISECONDS * 10**6
    return render.streamed_trace(spans, is_raw=is_raw, skew_max_nano=skew_max_nano, form=form)


@_first
def get_services(request: QueryRequest) -> Any:
    return render.envelope(_services(request))


@_first
def get_operations_of(request: QueryRequest) -> Any:
    names = {name for name, _ in _operations(request, request.path["service"])}
    return render.envelope(sorted(names))


@_first
def get_operations(request: QueryRequest) -> Any:
    return render.envelope(_named_operations(request))


@_first
def get_traces(request: QueryRequest) -> Any:
    is_raw = parse.is_raw(request.parameters)
    if trace_ids := parse.trace_ids(request.parameters):
        return _traces_of(request, trace_ids, is_raw=is_raw)
    question = parse.question_v1(request.parameters, request.now_unix_nano)
    if not question.search.service:
        raise InvalidQuery("parameter 'service' is required", "service")
    found, warnings = _found(request, question, in_order)
    traces = (_trace(spans, is_raw=is_raw) for spans in found)
    return Reply(render.streamed_envelope(traces), warnings)


def _traces_of(request: QueryRequest, trace_ids: Sequence[bytes], *, is_raw: bool) -> Any:
    missing: list[dict[str, str]] = []

    def traces() -> Iterator[Any]:
        for trace_id, spans in traces_by_id(request.store, trace_ids, request.now_unix_seconds):
            if spans:
                yield _trace(spans, is_raw=is_raw)
            else:
                missing.append({"msg": "trace not found", "traceID": trace_id.hex()})

    return render.streamed_envelope(traces(), missing)


@_first
def get_trace(request: QueryRequest) -> Any:
    spans = _spans(request)
    form = form_of(spans)
    trace = _trace(spans, form, is_raw=parse.is_raw(request.parameters))
    return render.streamed_envelope([trace], form=form)


def _call_counts(request: QueryRequest, within: Range) -> list[tuple[str, str, int]]:
    from chalicelib.query.edges import call_counts

    counts = call_counts(request.store, within, request.now_unix_seconds, request.half_edges)
    return [(*pair, calls) for pair, calls in sorted(render.calls_by_pair(counts).items())]


@_first
def get_dependencies(request: QueryRequest) -> Any:
    within = parse.dependencies_range(request.parameters, request.now_unix_nano)
    service = key_name(request.first("service"))
    return render.envelope(
        [
            {"parent": parent, "child": child, "callCount": calls}
            for parent, child, calls in _call_counts(request, within)
            if service in ("", parent, child)
        ]
    )


@_first
def post_transform(request: QueryRequest) -> Any:
    """OTLP/JSON of whatever content type as Jaeger's traces; `errors` tells which spans are left out, and why."""
    from chalicelib.receive.otlp_json import payload_from_json
    from chalicelib.receive.pieces import within

    if len(request.body) > config.BODY_BYTES_MAX:
        raise InvalidPayload(
            f"the body has {len(request.body)} bytes, the limit is {config.BODY_BYTES_MAX}"
        )
    with within(request.time_left):
        normalised = payload_from_json(request.body)
    traces: dict[bytes, list[Span]] = {}
    for span in spans_of(normalised.payload, Scopes()):
        traces.setdefault(span.trace_id, []).append(span)
    errors = [
        {"code": 400, "msg": f"spans left out: {count}: {reason}"}
        for reason, count in normalised.rejected.most_common(_REASONS_TOLD_MAX)
    ]
    more = len(normalised.rejected) - len(errors)
    if more > 0:
        errors.append({"code": 400, "msg": f"spans were left out for {more} other reasons"})
    found = (_trace(spans, is_raw=True) for spans in traces.values())
    return render.streamed_envelope(found, errors)


@_first
def get_latencies(request: QueryRequest) -> Any:
    def quantile(question: parse.MetricsQuestion) -> Callable[[Measure, int], float]:
        return lambda measure, _: render.milliseconds(quantile_nano(measure, question.quantile))

    return _metrics(request, "latencies", "latency quantiles, in milliseconds", quantile)


@_first
def get_calls(request: QueryRequest) -> Any:
    return _metrics(request, "call_rate", "calls a second", lambda _: _calls_per_second)


@_first
def get_errors(request: QueryRequest) -> Any:
    return _metrics(request, "error_rate", "errors by calls", lambda _: _error_share)


def _calls_per_second(measure: Measure, step_seconds: int) -> float:
    return measure.calls / step_seconds


def _error_share(measure: Measure, _: int) -> float:
    return measure.errors / measure.calls if measure.calls else 0.0


def _metrics(
    request: QueryRequest,
    name: str,
    description: str,
    figure: Callable[[parse.MetricsQuestion], Callable[[Measure, int], float]],
) -> Any:
    question = parse.metrics_question(
        request.parameters, request.now_unix_nano, wants_quantile=name == "latencies"
    )
    of_measure = figure(question)
    series: list[tuple[Mapping[str, str], render.Points]] = []
    for service in question.services:
        found = statistics(
            request.store, service, question.range, question.step_nano, request.now_unix_seconds
        )
        for operation, measures in _measures(found, question):
            labels = {"service_name": service}
            if question.by_operation:
                labels["operation"] = operation
            points = [(at, of_measure(each, found.step_seconds)) for at, each in measures.items()]
            series.append((labels, points))
    kind = "service_operation" if question.by_operation else "service"
    return render.metric_family(f"{kind}_{name}", description, series)


def _measures(
    found: ServiceStatistics, question: parse.MetricsQuestion
) -> Iterator[tuple[str, dict[int, Measure]]]:
    """(Operation, start second → measure) of the kinds asked for; all in one, under "", if not by operation."""
    sums: dict[str, dict[int, Measure]] = {}
    for key in _series(found.total):
        name, kind = key
        if kind in question.kinds:
            of_operation = sums.setdefault(name if question.by_operation else "", {})
            for second, measure in series_of(found.steps, key):
                of_operation.setdefault(second, Measure()).add(measure)
    for operation, measures in sorted(sums.items()):
        yield operation, dict(sorted(measures.items()))


def _series(total: Statistics) -> list[tuple[str, int]]:
    return sorted(total.series)


@_first
def get_minimum_step(request: QueryRequest) -> Any:
    return {"data": _STEP_MILLISECONDS_MIN}


@_third
def get_services_v3(request: QueryRequest) -> Any:
    return {"services": _services(request)}


@_third
def get_operations_v3(request: QueryRequest) -> Any:
    return {"operations": _named_operations(request)}


@_third
def get_trace_v3(request: QueryRequest) -> Any:
    return _result(_spans(request))


@_third
def get_traces_v3(request: QueryRequest) -> Any:
    question = parse.question_v3(request.parameters)
    traces, warnings = _found(request, question, in_order)
    if not traces:
        raise NotFound("No traces found")
    spans = [span for spans in traces for span in spans]
    return Reply(_result(spans), warnings)


def _result(spans: Sequence[Span]) -> Any:
    form = form_of(spans)
    return form.object([("result", streamed_traces_data(spans, form))])


@_third
def get_summaries_v3(request: QueryRequest) -> Any:
    question = parse.question_v3(request.parameters)
    summaries, warnings = _found(
        request,
        question,
        lambda spans: render.summary_json(summary_of(spans), spans),
        lambda summary, _: held_by_names([each["name"] for each in summary["services"]]),
    )
    return Reply({"summaries": summaries}, warnings)


@_third
def get_dependencies_v3(request: QueryRequest) -> Any:
    within = Range(
        parse.moment(
            request.first("start_time", "startTime"),
            "start_time",
            request.now_unix_nano - 86_400 * SECOND_NANO,
        ),
        parse.moment(request.first("end_time", "endTime"), "end_time", request.now_unix_nano),
    )
    return {
        "dependencies": [
            {"parent": parent, "child": child, "callCount": str(calls)}
            for parent, child, calls in _call_counts(request, within)
        ]
    }
