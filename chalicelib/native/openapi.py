"""The OpenAPI document's part on Clew's own API: each route's parameters and answers, and the schemas."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib import config
from chalicelib.http.openapi import (
    BASE64,
    COUNT,
    COUNTS,
    KIND,
    NANO,
    TEXT,
    WARNINGS,
    Json,
    array_of,
    json_response,
    object_of,
    or_null,
    path_parameter,
    query_parameter,
    schema_named,
)
from chalicelib.native.columns import MEDIA_TYPE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from chalicelib.http.route import Route

_FIGURES: Json = {
    "calls": COUNT,
    "errors": COUNT,
    "rate": {"type": "number", "description": "Calls a second."},
    **{f"p{rank}_nano": NANO for rank in (50, 75, 90, 95, 99)},
    "histogram": schema_named("Histogram"),
}

SCHEMAS: Json = {
    "Error": object_of(error=object_of(code=TEXT, message=TEXT, parameter=or_null(TEXT))),
    "Summary": object_of(
        trace_id=TEXT,
        root_service=TEXT,
        root_span_name=TEXT,
        start_time_unix_nano=NANO,
        duration_nano=NANO,
        span_count=COUNT,
        error_count=COUNT,
        services=array_of(TEXT),
        service_span_counts=COUNTS,
        service_error_counts={**COUNTS, "description": "Of services with errors only."},
    ),
    "Traces": object_of(
        traces=array_of(schema_named("Summary")),
        next={**or_null(TEXT), "description": "The `cursor` of the next page."},
        warnings=WARNINGS,
    ),
    "TracesData": {
        "type": "object",
        "description": "OTLP/JSON TracesData: hexadecimal ids, integer enums, 64-bit integers as strings.",
        "properties": {"resourceSpans": array_of({"type": "object"})},
        "required": ["resourceSpans"],
    },
    "Columns": {
        **object_of(
            version={"const": 1},
            trace_id=TEXT,
            start_time_unix_nano={
                **NANO,
                "description": "The earliest start of the page's spans.",
            },
            next={**or_null(TEXT), "description": "The `cursor` of the next page."},
            chunks=array_of(object_of(key=TEXT, span_count=COUNT)),
            strings=array_of(TEXT),
            scopes=array_of(object_of(service=COUNT, scope_name=COUNT, scope_version=COUNT)),
            columns=object_of(
                span_id=BASE64,
                parent=BASE64,
                foreign_ids=BASE64,
                start=BASE64,
                duration=BASE64,
                name=BASE64,
                scope=BASE64,
                kind=BASE64,
                flags=BASE64,
                status_message=BASE64,
            ),
            events=object_of(row=BASE64, time=BASE64, name=BASE64, flags=BASE64),
            links=object_of(row=BASE64, trace_id=BASE64, span_id=BASE64),
        ),
        "description": "A page of a trace, a row a span, in little-endian arrays; docs/api.md says what each holds. "
        "With `attributes=true` there is `attributes` too.",
    },
    "Services": object_of(services=array_of(TEXT), warnings=WARNINGS),
    "Strategies": {
        **object_of(
            default_strategy={"type": "object"}, service_strategies=array_of({"type": "object"})
        ),
        "description": "Jaeger's strategies file: each strategy has type, param and operation_strategies.",
    },
    "SpanNames": object_of(span_names=array_of(object_of(name=TEXT, kind=KIND))),
    "Attributes": object_of(
        attributes=array_of(
            object_of(
                key=TEXT,
                span_count=COUNT,
                values=array_of(object_of(value=TEXT, span_count=COUNT)),
            )
        ),
        trace_count={**COUNT, "description": "Traces in the sample."},
        warnings=WARNINGS,
    ),
    "Histogram": {
        **object_of(
            scale={"const": 5},
            zeroCount=TEXT,
            positive=object_of(offset={"type": "integer"}, bucketCounts=array_of(TEXT)),
        ),
        "description": "OTLP exponential histogram of nanoseconds: relative error at most 1.1 %.",
    },
    "Figures": object_of(**_FIGURES),
    "Point": object_of(start_time_unix_nano=NANO, **_FIGURES),
    "Statistics": object_of(
        service=TEXT,
        start_time_unix_nano=NANO,
        end_time_unix_nano=NANO,
        step_nano=NANO,
        series=array_of(
            object_of(
                span_name=TEXT,
                kind=KIND,
                points={
                    **array_of(schema_named("Point")),
                    "description": "Only of steps with calls.",
                },
                total=schema_named("Figures"),
            )
        ),
        total={**schema_named("Figures"), "description": "Of the service's entry spans."},
        total_points={
            **array_of(schema_named("Point")),
            "description": "Of the service's entry spans, only of steps with any.",
        },
        other={
            **or_null(schema_named("Figures")),
            "description": "Of the span names above the cap, together.",
        },
        folded={
            **object_of(renamed_calls=COUNT, other_calls=COUNT),
            "description": "Calls counted under a name whose ids are {id}; calls counted in `other`.",
        },
        warnings=WARNINGS,
    ),
    "Edges": object_of(
        start_time_unix_nano=NANO,
        end_time_unix_nano=NANO,
        edges=array_of(
            object_of(
                caller=TEXT,
                callee=TEXT,
                kind={"enum": ["rpc", "messaging", "database", "external"]},
                calls=COUNT,
                errors=COUNT,
                p50_nano=NANO,
                p95_nano=NANO,
                p99_nano=NANO,
                exemplar_trace_id=or_null(TEXT),
            )
        ),
        other=or_null(schema_named("Figures")),
        warnings=WARNINGS,
    ),
    "DeadLetters": object_of(
        queued={**COUNT, "description": "Messages in the dead-letter queue, about."},
        dead_letters=array_of(
            object_of(
                reason=TEXT,
                first_time_unix_nano=NANO,
                last_time_unix_nano=NANO,
                burials={**COUNT, "description": "0: the table knows nothing of it."},
                receive_count=COUNT,
                message_bytes=COUNT,
                span_count=or_null(COUNT),
                trace_ids={**array_of(TEXT), "description": "Some of its traces."},
            )
        ),
        next={**or_null(TEXT), "description": "The `cursor` of the next page."},
        redrive=or_null(schema_named("Redrive")),
        warnings=WARNINGS,
    ),
    "Redrive": object_of(
        status={"enum": ["running", "completed", "cancelling", "cancelled", "failed"]},
        started_time_unix_nano=NANO,
        moved=COUNT,
        to_move=or_null(COUNT),
        failure_reason=or_null(TEXT),
    ),
    "Health": object_of(status={"const": "ok"}),
}


_START = query_parameter(
    "start",
    "RFC 3339 or Unix seconds; the beginning of the range, itself in it; default an hour before the end.",
)
_END = query_parameter(
    "end", "RFC 3339 or Unix seconds; the end of the range, itself not in it; default now."
)
_KEPT = [
    query_parameter("start", "RFC 3339 or Unix seconds; default as long ago as spans are kept."),
    _END,
]
_SERVICE = path_parameter("service", "A service's name, percent-encoded.")
_TRACE = [
    path_parameter("trace_id", "32 hexadecimal digits; fewer are padded; X-Ray's 1-8-24 form too."),
    query_parameter(
        "chunk",
        "Only these chunks: `key` of `chunks` in columns; repeatable.",
        {**array_of(TEXT), "maxItems": config.CHUNKS_ASKED_MAX},
        style="form",
        explode=True,
    ),
    query_parameter(
        "span_id",
        "Only spans with these ids; repeatable. Not for columns.",
        {**array_of(TEXT), "maxItems": config.SPAN_IDS_ASKED_MAX},
        style="form",
        explode=True,
    ),
    query_parameter("cursor", "`next` of the page before. For columns only."),
    query_parameter("attributes", "With the columns of attributes.", {"enum": ["true", "false"]}),
]
_SEARCH = [
    query_parameter("service", "The span's service."),
    query_parameter("span_name", "The span's name."),
    query_parameter(
        "attribute",
        "key=value; repeatable. Matches span or resource attributes by their string form.",
        array_of(TEXT),
        style="form",
        explode=True,
    ),
    query_parameter("link", "A trace's id: the span has a link to a span of that trace."),
    query_parameter("status", "Only spans that failed.", {"enum": ["error"]}),
    query_parameter("min_duration", "Of the span, such as 250ms or 1.5s."),
    query_parameter("max_duration", "Of the span."),
    _START,
    _END,
    query_parameter(
        "limit",
        "Traces a page.",
        {
            "type": "integer",
            "minimum": 1,
            "maximum": config.SEARCH_LIMIT_MAX,
            "default": config.SEARCH_LIMIT_DEFAULT,
        },
    ),
    query_parameter("cursor", "`next` of the page before."),
]


_MAY_NOT_CHANGE = (
    "The token has not the scope `configure`, a page of another origin asks, or there is neither a token "
    "in a header of its own nor `X-Clew-Request: 1`."
)


_BUSY = "The store is busy: try again, after Retry-After."
_FAULT = "A fault of Clew's: its log says more."
_UNKNOWN = "A token is needed, or this one is not known."
_BAD_PARAMETER = {"400": "A parameter is wrong: `error.parameter` names it."}
_NO_TRACE = {"404": "There is no such trace, or span."}
_REFUSED = {
    "401": _UNKNOWN,
    "403": "The token has not the scope `read`, or a page of another origin asks.",
    "413": "The answer is too large, or too much work: ask for less.",
    "500": _FAULT,
    "503": "The store is busy, or the time was over: ask again, after Retry-After.",
}


def _errors(statuses: Mapping[str, str]) -> Json:
    return {status: json_response(text, "Error") for status, text in statuses.items()}


def _asked(summary: str, schema: str, parameters: Sequence[Json]) -> Json:
    """The operation of a question: the schema of its answer, and its parameters."""
    bad = _BAD_PARAMETER if parameters else {}
    responses = {"200": json_response(summary, schema), **_errors({**bad, **_REFUSED})}
    return {"parameters": list(parameters), "responses": responses}


def _trace(summary: str) -> Json:
    found = _asked(summary, "TracesData", _TRACE)
    answer = json_response(
        "A trace's spans, or a page of them.", "TracesData", **{MEDIA_TYPE: "Columns"}
    )
    return {**found, "responses": {**found["responses"], "200": answer, **_errors(_NO_TRACE)}}


_STEP = query_parameter(
    "step",
    "Width of a point, such as 5m; rounded up to whole minutes, in an old range to hours or days. "
    "The answer's `step_nano` is what it really is. Default: about a hundred points.",
)
_DEAD_LETTERS = (
    query_parameter(
        "limit",
        "Dead letters a page.",
        {
            "type": "integer",
            "minimum": 1,
            "maximum": config.DEAD_LETTERS_LIMIT_MAX,
            "default": config.DEAD_LETTERS_LIMIT_DEFAULT,
        },
    ),
    query_parameter("cursor", "`next` of the page before."),
)
_QUESTIONS: dict[str, tuple[str, Sequence[Json]]] = {
    "/v1/traces": ("Traces", _SEARCH),
    "/v1/services": ("Services", _KEPT),
    "/v1/services/{service}/span_names": ("SpanNames", (_SERVICE, *_KEPT)),
    "/v1/services/{service}/attributes": ("Attributes", (_SERVICE, _START, _END)),
    "/v1/services/{service}/statistics": ("Statistics", (_SERVICE, _START, _END, _STEP)),
    "/v1/edges": ("Edges", (_START, _END)),
    "/v1/dead-letters": ("DeadLetters", _DEAD_LETTERS),
    "/v1/sampling": ("Strategies", ()),
}
"""Path → schema of the answer, parameters."""
_OTHERS: dict[str, Json] = {
    "PUT /v1/sampling": {
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": schema_named("Strategies")}},
        },
        "responses": {
            "200": json_response("As they now stand.", "Strategies"),
            **_errors(
                {
                    "400": "The document is wrong; the message says where.",
                    "401": _UNKNOWN,
                    "403": _MAY_NOT_CHANGE,
                    "503": _BUSY,
                }
            ),
        },
    },
    "POST /v1/dead-letters/redrive": {
        "responses": {
            "200": json_response("The move, begun now or under way.", "Redrive"),
            **_errors(
                {
                    "401": _UNKNOWN,
                    "403": _MAY_NOT_CHANGE,
                    "500": _FAULT,
                    "503": "The queue is busy: try again, after Retry-After.",
                }
            ),
        },
    },
    "GET /openapi.json": {"responses": {"200": {"description": "OpenAPI 3.1."}}},
    "GET /health": {
        "responses": {
            "200": json_response("They do.", "Health"),
            **_errors({"503": "One does not; ask again, after Retry-After."}),
        },
    },
    "GET /": {
        "responses": {
            "200": {"description": "HTML."},
            "304": {"description": "It has the ETag of If-None-Match."},
        },
    },
    "GET /assets/{name}": {
        "parameters": [path_parameter("name", "A file's name, as the page has it.")],
        "responses": {
            "200": {"description": "The file; its name changes with its content."},
            **_errors({"404": "There is no such asset."}),
        },
    },
}


def operation(route: Route) -> Json:
    """What a route takes and answers."""
    if other := _OTHERS.get(f"{route.method} {route.path}"):
        return other
    if route.path == "/v1/traces/{trace_id}":
        return _trace(route.summary)
    return _asked(route.summary, *_QUESTIONS[route.path])
