"""Jaeger's query API, first and third, as its UI and Grafana's data source ask it.

The first comes in an envelope, `{"data": …, "errors": …}`; the third is plain. Statistics are Clew's own: the Monitor
tab needs no Prometheus. Source: jaeger, http_handler.go, apiv3/http_gateway.go.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from chalicelib import config
from chalicelib.answer.refused import status_and_message
from chalicelib.collector import collector_paused
from chalicelib.errors import InvalidPayload, InvalidQuery, NotFound
from chalicelib.model.batch import spans_of
from chalicelib.model.measure import Measure, quantile_nano
from chalicelib.model.names import key_name
from chalicelib.model.span import KIND_NAMES, UNSPECIFIED, Scopes
from chalicelib.present import jaeger as present
from chalicelib.present.otlp_json import streamed_traces_data
from chalicelib.present.respond import json_answer, streamed_answer, warned
from chalicelib.present.stream import form_of
from chalicelib.query import jaeger as query
from chalicelib.query.parameters import Range, checked_text, listed_range
from chalicelib.query.search import Searcher, certain, held_by_names
from chalicelib.query.services import services_between
from chalicelib.query.statistics import series_of, span_names, statistics
from chalicelib.query.tags import TagConditions
from chalicelib.query.trace import in_order, summary_of, trace_by_id, traces_by_id
from chalicelib.store.metered import budget_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from chalicelib.answer.asked import Asked
    from chalicelib.budget import Held
    from chalicelib.model.http import Answer
    from chalicelib.model.span import Span
    from chalicelib.model.statistics import Statistics
    from chalicelib.present.stream import Form
    from chalicelib.query.statistics import ServiceStatistics
    from chalicelib.store.traces import SearchedTrace

_STEP_MILLISECONDS_MIN = 60_000
_REASONS_TOLD_MAX = 20
"""Of spans that an uploaded file has in vain."""
Found = TypeVar("Found")


class _Warned(NamedTuple):
    """An answer's document, and what it leaves out."""

    document: Any
    warnings: list[str]


def _services(asked: Asked) -> list[str]:
    return sorted(
        services_between(asked.store, listed_range(asked.now_nano), asked.now_unix_seconds)
    )


def _operations(asked: Asked, service: str) -> list[tuple[str, int]]:
    name = checked_text(service, "service")
    return span_names(asked.store, name, listed_range(asked.now_nano), asked.now_unix_seconds)


def _named_operations(asked: Asked) -> list[dict[str, str]]:
    service = asked.first("service")
    if not service:
        raise InvalidQuery("parameter 'service' is required", "service")
    kind = query.kind_asked(asked.parameters)
    # An unspecified kind is what OpenTelemetry calls internal where it must be one.
    return [
        {"name": name, "spanKind": "internal" if each == UNSPECIFIED else KIND_NAMES[each]}
        for name, each in _operations(asked, service)
        if kind in (None, each)
    ]


def _found(
    asked: Asked,
    question: query.Question,
    answer_of: Callable[[list[Span]], Found],
    held_by: Callable[[Found, SearchedTrace], Held] = lambda _, trace: trace.held,
) -> tuple[list[Found], list[str]]:
    """What is made of every trace that is asked for, newest first, and what is left out. Raises as `certain` does."""
    conditions = TagConditions(question.search, question.tags)
    result = Searcher(
        asked.store,
        question.search,
        asked.now_unix_seconds,
        asked.has_time,
        answer_of,
        conditions,
        held_by=held_by,
    ).run()
    return certain(result)


def _spans(asked: Asked) -> list[Span]:
    """Of the trace whose id is in the path. Raises NotFound in Jaeger's words."""
    try:
        trace_id = query.trace_id(asked.path["trace_id"])
        return trace_by_id(asked.store, trace_id, asked.now_unix_seconds)
    except NotFound as error:
        raise NotFound("trace not found") from error


def _trace(spans: Sequence[Span], form: Form | None = None, *, is_raw: bool) -> Any:
    skew_max_nano = config.CLOCK_SKEW_MAX_MILLISECONDS * 10**6
    return present.streamed_trace(spans, is_raw=is_raw, skew_max_nano=skew_max_nano, form=form)


def get_services(asked: Asked) -> Any:
    return present.envelope(_services(asked))


def get_operations_of(asked: Asked) -> Any:
    names = {name for name, _ in _operations(asked, asked.path["service"])}
    return present.envelope(sorted(names))


def get_operations(asked: Asked) -> Any:
    return present.envelope(_named_operations(asked))


def get_traces(asked: Asked) -> Any:
    is_raw = query.is_raw(asked.parameters)
    if trace_ids := query.trace_ids(asked.parameters):
        return _traces_of(asked, trace_ids, is_raw=is_raw)
    question = query.question_v1(asked.parameters, asked.now_nano)
    if not question.search.service:
        raise InvalidQuery("parameter 'service' is required", "service")
    found, warnings = _found(asked, question, in_order)
    traces = (_trace(spans, is_raw=is_raw) for spans in found)
    return _Warned(present.streamed_envelope(traces), warnings)


def _traces_of(asked: Asked, trace_ids: Sequence[bytes], *, is_raw: bool) -> Any:
    missing: list[dict[str, str]] = []

    def traces() -> Iterator[Any]:
        for trace_id, spans in traces_by_id(asked.store, trace_ids, asked.now_unix_seconds):
            if spans:
                yield _trace(spans, is_raw=is_raw)
            else:
                missing.append({"msg": "trace not found", "traceID": trace_id.hex()})

    return present.streamed_envelope(traces(), missing)


def get_trace(asked: Asked) -> Any:
    spans = _spans(asked)
    form = form_of(spans)
    trace = _trace(spans, form, is_raw=query.is_raw(asked.parameters))
    return present.streamed_envelope([trace], form=form)


def _call_counts(asked: Asked, within: Range) -> list[tuple[str, str, int]]:
    from chalicelib.query.edges import call_counts

    counts = call_counts(asked.store, within, asked.now_unix_seconds, asked.remembered)
    return [(*pair, calls) for pair, calls in sorted(present.calls_by_pair(counts).items())]


def get_dependencies(asked: Asked) -> Any:
    within = query.dependencies_range(asked.parameters, asked.now_nano)
    service = key_name(asked.first("service"))
    return present.envelope(
        [
            {"parent": parent, "child": child, "callCount": calls}
            for parent, child, calls in _call_counts(asked, within)
            if service in ("", parent, child)
        ]
    )


def post_transform(asked: Asked) -> Any:
    """OTLP/JSON of whatever content type as Jaeger's traces; `errors` tells which spans are left out, and why."""
    from chalicelib.receive.otlp import payload_from_json
    from chalicelib.receive.pieces import within

    if len(asked.body) > config.BODY_BYTES_MAX:
        raise InvalidPayload(
            f"the body has {len(asked.body)} bytes, the limit is {config.BODY_BYTES_MAX}"
        )
    with within(asked.has_time):
        normalised = payload_from_json(asked.body)
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
    return present.streamed_envelope(found, errors)


def get_latencies(asked: Asked) -> Any:
    def quantile(question: query.MetricsQuestion) -> Callable[[Measure, int], float]:
        return lambda measure, _: present.milliseconds(quantile_nano(measure, question.quantile))

    return _metrics(asked, "latencies", "latency quantiles, in milliseconds", quantile)


def get_calls(asked: Asked) -> Any:
    return _metrics(asked, "call_rate", "calls a second", lambda _: _calls_per_second)


def get_errors(asked: Asked) -> Any:
    return _metrics(asked, "error_rate", "errors by calls", lambda _: _error_share)


def _calls_per_second(measure: Measure, step_seconds: int) -> float:
    return measure.calls / step_seconds


def _error_share(measure: Measure, _: int) -> float:
    return measure.errors / measure.calls if measure.calls else 0.0


def _metrics(
    asked: Asked,
    name: str,
    description: str,
    figure: Callable[[query.MetricsQuestion], Callable[[Measure, int], float]],
) -> Any:
    question = query.metrics_question(
        asked.parameters, asked.now_nano, wants_quantile=name == "latencies"
    )
    of_measure = figure(question)
    series: list[tuple[Mapping[str, str], present.Points]] = []
    for service in question.services:
        found = statistics(
            asked.store, service, question.range, question.step_nano, asked.now_unix_seconds
        )
        for operation, measures in _measures(found, question):
            labels = {"service_name": service}
            if question.by_operation:
                labels["operation"] = operation
            points = [(at, of_measure(each, found.step_seconds)) for at, each in measures.items()]
            series.append((labels, points))
    kind = "service_operation" if question.by_operation else "service"
    return present.metric_family(f"{kind}_{name}", description, series)


def _measures(
    found: ServiceStatistics, question: query.MetricsQuestion
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


def get_minimum_step(asked: Asked) -> Any:
    return {"data": _STEP_MILLISECONDS_MIN}


def get_services_v3(asked: Asked) -> Any:
    return {"services": _services(asked)}


def get_operations_v3(asked: Asked) -> Any:
    return {"operations": _named_operations(asked)}


def get_trace_v3(asked: Asked) -> Any:
    return _result(_spans(asked))


def get_traces_v3(asked: Asked) -> Any:
    question = query.question_v3(asked.parameters)
    traces, warnings = _found(asked, question, in_order)
    if not traces:
        raise NotFound("No traces found")
    spans = [span for spans in traces for span in spans]
    return _Warned(_result(spans), warnings)


def _result(spans: Sequence[Span]) -> Any:
    form = form_of(spans)
    return form.object([("result", streamed_traces_data(spans, form))])


def get_summaries_v3(asked: Asked) -> Any:
    question = query.question_v3(asked.parameters)
    summaries, warnings = _found(
        asked,
        question,
        lambda spans: present.summary_json(summary_of(spans), spans),
        lambda summary, _: held_by_names([each["name"] for each in summary["services"]]),
    )
    return _Warned({"summaries": summaries}, warnings)


def get_dependencies_v3(asked: Asked) -> Any:
    within = Range(
        query.moment(
            asked.first("start_time", "startTime"), "start_time", asked.now_nano - 86_400 * 10**9
        ),
        query.moment(asked.first("end_time", "endTime"), "end_time", asked.now_nano),
    )
    return {
        "dependencies": [
            {"parent": parent, "child": child, "callCount": str(calls)}
            for parent, child, calls in _call_counts(asked, within)
        ]
    }


def _answering(
    ask: Callable[[Asked], Any], error_of: Callable[[int, str], Any]
) -> Callable[[Asked], Answer]:
    """What `ask` returns as JSON, or what went wrong in the API's own form."""

    def answer(asked: Asked) -> Answer:
        is_indented = query.is_pretty(asked.parameters)
        try:
            with collector_paused():
                found = ask(asked)
                document, warnings = found if isinstance(found, _Warned) else (found, ())
                answered = streamed_answer(
                    document,
                    asked.headers,
                    is_indented=is_indented,
                    budget=budget_of(asked.store),
                )
            return warned(answered, warnings)
        except Exception as error:
            status, message = status_and_message(error)
        answer = json_answer(
            error_of(status, message), asked.headers, status, is_indented=is_indented
        )
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            answer.headers["Retry-After"] = str(config.RETRY_AFTER_SECONDS)
        return answer

    return answer


_FIRST: dict[str, Callable[[Asked], Any]] = {
    "GET /api/services": get_services,
    "GET /api/services/{service}/operations": get_operations_of,
    "GET /api/operations": get_operations,
    "GET /api/traces": get_traces,
    "GET /api/traces/{trace_id}": get_trace,
    "GET /api/dependencies": get_dependencies,
    "POST /api/transform": post_transform,
    "GET /api/metrics/latencies": get_latencies,
    "GET /api/metrics/calls": get_calls,
    "GET /api/metrics/errors": get_errors,
    "GET /api/metrics/minstep": get_minimum_step,
}
_THIRD: dict[str, Callable[[Asked], Any]] = {
    "GET /api/v3/services": get_services_v3,
    "GET /api/v3/operations": get_operations_v3,
    "GET /api/v3/traces": get_traces_v3,
    "GET /api/v3/traces/{trace_id}": get_trace_v3,
    "GET /api/v3/trace-summaries": get_summaries_v3,
    "GET /api/v3/dependencies": get_dependencies_v3,
}
ANSWERS: dict[str, Callable[[Asked], Answer]] = {
    **{route: _answering(ask, present.error_envelope) for route, ask in _FIRST.items()},
    **{route: _answering(ask, present.error_v3) for route, ask in _THIRD.items()},
}
"""Method and path, as `app.py` lists them → the answer. Nothing is raised."""
