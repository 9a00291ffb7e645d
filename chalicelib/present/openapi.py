"""The API, described: OpenAPI 3.1, served at /openapi.json."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from chalicelib import config
from chalicelib.model.http import JAEGER_ROUTES, ZIPKIN_CONFIG_PATHS, ZIPKIN_ROUTES
from chalicelib.present.columns import MEDIA_TYPE

if TYPE_CHECKING:
    from collections.abc import Sequence

Json = dict[str, Any]

_NANO: Json = {"type": "string", "pattern": "^[0-9]+$", "description": "Nanoseconds, in decimal."}
_COUNT: Json = {"type": "integer", "minimum": 0}
_TEXT: Json = {"type": "string"}
_COUNTS: Json = {
    "type": "object",
    "additionalProperties": _COUNT,
    "description": "A count for each service.",
}
_BASE64: Json = {"type": "string", "contentEncoding": "base64"}
_WARNINGS: Json = {
    "type": "array",
    "items": _TEXT,
    "description": "What the answer leaves out, and why.",
}
_KIND: Json = {"enum": ["unspecified", "internal", "server", "client", "producer", "consumer"]}


def _object(**properties: Json) -> Json:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _array(items: Json) -> Json:
    return {"type": "array", "items": items}


def _or_null(schema: Json) -> Json:
    return {"anyOf": [schema, {"type": "null"}]}


def _schema(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


_FIGURES: Json = {
    "calls": _COUNT,
    "errors": _COUNT,
    "rate": {"type": "number", "description": "Calls a second."},
    **{f"p{rank}_nano": _NANO for rank in (50, 75, 90, 95, 99)},
    "histogram": _schema("Histogram"),
}

_SCHEMAS: Json = {
    "Error": _object(error=_object(code=_TEXT, message=_TEXT, parameter=_or_null(_TEXT))),
    "Summary": _object(
        trace_id=_TEXT,
        root_service=_TEXT,
        root_span_name=_TEXT,
        start_time_unix_nano=_NANO,
        duration_nano=_NANO,
        span_count=_COUNT,
        error_count=_COUNT,
        services=_array(_TEXT),
        service_span_counts=_COUNTS,
        service_error_counts={**_COUNTS, "description": "Of services with errors only."},
    ),
    "Traces": _object(
        traces=_array(_schema("Summary")),
        next={**_or_null(_TEXT), "description": "The `cursor` of the next page."},
        warnings=_WARNINGS,
    ),
    "TracesData": {
        "type": "object",
        "description": "OTLP/JSON TracesData: hexadecimal ids, integer enums, 64-bit integers as strings.",
        "properties": {"resourceSpans": _array({"type": "object"})},
        "required": ["resourceSpans"],
    },
    "Columns": {
        **_object(
            version={"const": 1},
            trace_id=_TEXT,
            start_time_unix_nano={
                **_NANO,
                "description": "The earliest start of the page's spans.",
            },
            next={**_or_null(_TEXT), "description": "The `cursor` of the next page."},
            chunks=_array(_object(key=_TEXT, span_count=_COUNT)),
            strings=_array(_TEXT),
            scopes=_array(_object(service=_COUNT, scope_name=_COUNT, scope_version=_COUNT)),
            columns=_object(
                span_id=_BASE64,
                parent=_BASE64,
                foreign_ids=_BASE64,
                start=_BASE64,
                duration=_BASE64,
                name=_BASE64,
                scope=_BASE64,
                kind=_BASE64,
                flags=_BASE64,
                status_message=_BASE64,
            ),
            events=_object(row=_BASE64, time=_BASE64, name=_BASE64, flags=_BASE64),
            links=_object(row=_BASE64, trace_id=_BASE64, span_id=_BASE64),
        ),
        "description": "A page of a trace, a row a span, in little-endian arrays; docs/api.md says what each holds. "
        "With `attributes=true` there is `attributes` too.",
    },
    "Services": _object(services=_array(_TEXT), warnings=_WARNINGS),
    "Strategies": {
        **_object(
            default_strategy={"type": "object"}, service_strategies=_array({"type": "object"})
        ),
        "description": "Jaeger's strategies file: each strategy has type, param and operation_strategies.",
    },
    "SpanNames": _object(span_names=_array(_object(name=_TEXT, kind=_KIND))),
    "Attributes": _object(
        attributes=_array(
            _object(
                key=_TEXT,
                span_count=_COUNT,
                values=_array(_object(value=_TEXT, span_count=_COUNT)),
            )
        ),
        trace_count={**_COUNT, "description": "Traces in the sample."},
        warnings=_WARNINGS,
    ),
    "Histogram": {
        **_object(
            scale={"const": 5},
            zeroCount=_TEXT,
            positive=_object(offset={"type": "integer"}, bucketCounts=_array(_TEXT)),
        ),
        "description": "OTLP exponential histogram of nanoseconds: relative error at most 1.1 %.",
    },
    "Figures": _object(**_FIGURES),
    "Point": _object(start_time_unix_nano=_NANO, **_FIGURES),
    "Statistics": _object(
        service=_TEXT,
        start_time_unix_nano=_NANO,
        end_time_unix_nano=_NANO,
        step_nano=_NANO,
        series=_array(
            _object(
                span_name=_TEXT,
                kind=_KIND,
                points={
                    **_array(_schema("Point")),
                    "description": "Only of steps with calls.",
                },
                total=_schema("Figures"),
            )
        ),
        total={**_schema("Figures"), "description": "Of the service's entry spans."},
        total_points={
            **_array(_schema("Point")),
            "description": "Of the service's entry spans, only of steps with any.",
        },
        other={
            **_or_null(_schema("Figures")),
            "description": "Of the span names above the cap, together.",
        },
        folded={
            **_object(renamed_calls=_COUNT, other_calls=_COUNT),
            "description": "Calls counted under a name whose ids are {id}; calls counted in `other`.",
        },
        warnings=_WARNINGS,
    ),
    "Edges": _object(
        start_time_unix_nano=_NANO,
        end_time_unix_nano=_NANO,
        edges=_array(
            _object(
                caller=_TEXT,
                callee=_TEXT,
                kind={"enum": ["rpc", "messaging", "database", "external"]},
                calls=_COUNT,
                errors=_COUNT,
                p50_nano=_NANO,
                p95_nano=_NANO,
                p99_nano=_NANO,
                exemplar_trace_id=_or_null(_TEXT),
            )
        ),
        other=_or_null(_schema("Figures")),
        warnings=_WARNINGS,
    ),
    "DeadLetters": _object(
        queued={**_COUNT, "description": "Messages in the dead-letter queue, about."},
        dead_letters=_array(
            _object(
                reason=_TEXT,
                first_time_unix_nano=_NANO,
                last_time_unix_nano=_NANO,
                burials={**_COUNT, "description": "0: the table knows nothing of it."},
                receive_count=_COUNT,
                message_bytes=_COUNT,
                span_count=_or_null(_COUNT),
                trace_ids={**_array(_TEXT), "description": "Some of its traces."},
            )
        ),
        next={**_or_null(_TEXT), "description": "The `cursor` of the next page."},
        redrive=_or_null(_schema("Redrive")),
        warnings=_WARNINGS,
    ),
    "Redrive": _object(
        status={"enum": ["running", "completed", "cancelling", "cancelled", "failed"]},
        started_time_unix_nano=_NANO,
        moved=_COUNT,
        to_move=_or_null(_COUNT),
        failure_reason=_or_null(_TEXT),
    ),
    "Health": _object(status={"const": "ok"}),
}


def _query(name: str, description: str, schema: Json | None = None, **more: Any) -> Json:
    return {
        "name": name,
        "in": "query",
        "description": description,
        "schema": schema or _TEXT,
        **more,
    }


def _path(name: str, description: str) -> Json:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": description,
        "schema": _TEXT,
    }


_START = _query(
    "start",
    "RFC 3339 or Unix seconds; the beginning of the range, itself in it; default an hour before the end.",
)
_END = _query(
    "end", "RFC 3339 or Unix seconds; the end of the range, itself not in it; default now."
)
_KEPT = [_query("start", "RFC 3339 or Unix seconds; default as long ago as spans are kept."), _END]
_SERVICE = _path("service", "A service's name, percent-encoded.")
_TRACE = [
    _path("trace_id", "32 hexadecimal digits; fewer are padded; X-Ray's 1-8-24 form too."),
    _query(
        "chunk",
        "Only these chunks: `key` of `chunks` in columns; repeatable.",
        {**_array(_TEXT), "maxItems": config.CHUNKS_ASKED_MAX},
        style="form",
        explode=True,
    ),
    _query(
        "span_id",
        "Only spans with these ids; repeatable. Not for columns.",
        {**_array(_TEXT), "maxItems": config.SPAN_IDS_ASKED_MAX},
        style="form",
        explode=True,
    ),
    _query("cursor", "`next` of the page before. For columns only."),
    _query("attributes", "With the columns of attributes.", {"enum": ["true", "false"]}),
]
_SEARCH = [
    _query("service", "The span's service."),
    _query("span_name", "The span's name."),
    _query(
        "attribute",
        "key=value; repeatable. Matches span or resource attributes by their string form.",
        _array(_TEXT),
        style="form",
        explode=True,
    ),
    _query("link", "A trace's id: the span has a link to a span of that trace."),
    _query("status", "Only spans that failed.", {"enum": ["error"]}),
    _query("min_duration", "Of the span, such as 250ms or 1.5s."),
    _query("max_duration", "Of the span."),
    _START,
    _END,
    _query(
        "limit",
        "Traces a page.",
        {
            "type": "integer",
            "minimum": 1,
            "maximum": config.SEARCH_LIMIT_MAX,
            "default": config.SEARCH_LIMIT_DEFAULT,
        },
    ),
    _query("cursor", "`next` of the page before."),
]


def _json(description: str, schema: str, **by_media_type: str) -> Json:
    schemas = {"application/json": schema, **by_media_type}
    content = {media_type: {"schema": _schema(name)} for media_type, name in schemas.items()}
    return {"description": description, "content": content}


_WAYS_TO_SHOW_A_TOKEN: Json = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
    "password": {"type": "http", "scheme": "basic", "description": "The token as the password."},
}
_FOR_EVERYONE: Json = {"security": []}
_MAY_NOT_CHANGE = (
    "The token has not the scope `configure`, a page of another origin asks, or there is neither a token "
    "in a header of its own nor `X-Clew-Request: 1`."
)


def _get(summary: str, schema: str, parameters: list[Json], **statuses: str) -> Json:
    refused = (
        {"400": "A parameter is wrong: `error.parameter` names it.", **statuses}
        if parameters
        else statuses
    )
    return {
        "get": {
            "summary": summary,
            "parameters": parameters,
            "responses": {
                "200": _json(summary, schema),
                **{status.lstrip("_"): _json(text, "Error") for status, text in refused.items()},
                "401": _json("A token is needed, or this one is not known.", "Error"),
                "403": _json(
                    "The token has not the scope `read`, or a page of another origin asks.", "Error"
                ),
                "413": _json("The answer is too large, or too much work: ask for less.", "Error"),
                "500": _json("A fault of Clew's: its log says more.", "Error"),
                "503": _json(
                    "The store is busy, or the time was over: ask again, after Retry-After.",
                    "Error",
                ),
            },
        }
    }


def _post(summary: str, request: str) -> Json:
    binary = {"schema": {"type": "string", "format": "binary"}}
    content = {"application/x-protobuf": binary, "application/json": {"schema": {"type": "object"}}}
    return {
        "post": {
            "summary": summary,
            "description": f"An OTLP/HTTP {request}; gzip and deflate are taken. Answers are encoded as the request.",
            "requestBody": {"required": True, "content": content},
            "responses": {
                "200": {"description": "Accepted; partial_success counts what was not, and why."},
                "400": {"description": "google.rpc.Status: never send this again."},
                "401": {"description": "google.rpc.Status: a token is needed, or is not known."},
                "403": {"description": "google.rpc.Status: the token has not the scope `ingest`."},
                "413": {"description": "google.rpc.Status: too large; send smaller batches."},
                "415": {
                    "description": "google.rpc.Status: media type or content encoding not known."
                },
                "503": {"description": "google.rpc.Status: send it again, after Retry-After."},
            },
        }
    }


def _post_plain(summary: str, description: str, media_types: Sequence[str]) -> Json:
    binary = {"schema": {"type": "string", "format": "binary"}}
    answers = {
        "202": "Accepted.",
        "400": "Never send this again; plain text says why.",
        "401": "A token is needed, or is not known.",
        "403": "The token has not the scope `ingest`.",
        "413": "Too large; send smaller batches.",
        "503": "Send it again, after Retry-After.",
    }
    return {
        "post": {
            "summary": summary,
            "description": description,
            "requestBody": {"required": True, "content": dict.fromkeys(media_types, binary)},
            "responses": {status: {"description": text} for status, text in answers.items()},
        }
    }


def _dialect(name: str, routes: Sequence[str]) -> dict[str, Json]:
    """Paths of another tracer's API: its own documentation describes what they take and answer."""
    answers = {
        "200": "As {0} answers.",
        "400": "A parameter is wrong; in {0}'s own form.",
        "401": "A token is needed, or this one is not known.",
        "403": "The token has not the scope `read`.",
        "404": "There is no such trace; in {0}'s own form.",
        "413": "The answer is too large, or too much work: ask for less.",
        "500": "A fault of Clew's: its log says more.",
        "503": "The store is busy, or the time was over: ask again, after Retry-After.",
    }
    responses = {status: {"description": text.format(name)} for status, text in answers.items()}
    paths: dict[str, Json] = {}
    for route in routes:
        method, _, path = route.partition(" ")
        names = re.findall(r"{(\w+)}", path)
        paths.setdefault(path, {})[method.lower()] = {
            "summary": f"{name}'s {path.rpartition('/')[2].strip('{}').replace('_', ' ')}.",
            "parameters": [_path(each, "Percent-encoded.") for each in names],
            "responses": responses,
        }
    return paths


_SAMPLING: Json = {
    "get": {
        "summary": "What a service's remote sampler is to do, as Jaeger's clients ask.",
        "parameters": [_query("service", "The service's name; once.")],
        "responses": {
            "200": {"description": "Jaeger's SamplingStrategyResponse."},
            "400": {"description": "Plain text: the service is missing, or there are several."},
            "401": {"description": "Plain text: a token is needed, or is not known."},
            "403": {"description": "Plain text: the token has not the scope `ingest`."},
            "503": {"description": "Plain text: ask again, after Retry-After."},
        },
    }
}


_ZIPKIN_CONFIG: Json = {
    "get": {
        **_FOR_EVERYONE,
        "summary": "How Zipkin's UI is to be.",
        "responses": {"200": {"description": "As Zipkin's server answers."}},
    }
}


def document() -> Json:
    """The OpenAPI document."""
    trace = _get("A trace's spans.", "TracesData", _TRACE, _404="There is no such trace, or span.")
    answer = _json("A trace's spans, or a page of them.", "TracesData", **{MEDIA_TYPE: "Columns"})
    trace["get"]["responses"]["200"] = answer
    jaeger = _dialect("Jaeger", JAEGER_ROUTES)
    jaeger["/api/traces"] |= _post_plain(
        "Accept spans of Jaeger's clients.",
        "A Jaeger Batch in Thrift's binary protocol; gzip and deflate are taken.",
        ("application/x-thrift", "application/vnd.apache.thrift.binary"),
    )
    zipkin = _dialect("Zipkin", ZIPKIN_ROUTES)
    zipkin["/api/v2/spans"] |= _post_plain(
        "Accept spans of Zipkin's clients.",
        "A JSON array of Zipkin's spans, or a ListOfSpans in protobuf; gzip and deflate are taken.",
        ("application/json", "application/x-protobuf"),
    )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Clew",
            "version": "0.1.0",
            "description": "Distributed tracing without a server. Errors: {error: {code, message, parameter}}.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "."}],
        "paths": {
            "/v1/traces": {
                **_post("Accept spans.", "ExportTraceServiceRequest"),
                **_get(
                    "Traces of which one span meets every condition, newest first.",
                    "Traces",
                    _SEARCH,
                ),
            },
            "/api/v1/spans": _post_plain(
                "Accept spans of Zipkin's older clients.",
                "A JSON array of spans of Zipkin's first model, or a list in Thrift's binary protocol.",
                ("application/json", "application/x-thrift"),
            ),
            "/sampling": _SAMPLING,
            "/api/sampling": _SAMPLING,
            **jaeger,
            **zipkin,
            **dict.fromkeys(ZIPKIN_CONFIG_PATHS, _ZIPKIN_CONFIG),
            "/v1/sampling": {
                **_get("Which share of its traces each service is to send.", "Strategies", []),
                "put": {
                    "summary": "Replace the sampling strategies.",
                    "requestBody": {
                        "required": True,
                        "content": {"application/json": {"schema": _schema("Strategies")}},
                    },
                    "responses": {
                        "200": _json("As they now stand.", "Strategies"),
                        "400": _json("The document is wrong; the message says where.", "Error"),
                        "401": _json("A token is needed, or this one is not known.", "Error"),
                        "403": _json(_MAY_NOT_CHANGE, "Error"),
                        "503": _json("The store is busy: try again, after Retry-After.", "Error"),
                    },
                },
            },
            "/v1/metrics": _post("Answered, not stored.", "ExportMetricsServiceRequest"),
            "/v1/logs": _post("Answered, not stored.", "ExportLogsServiceRequest"),
            "/v1/traces/{trace_id}": trace,
            "/v1/services": _get(
                "Services with spans in a range, in whole hours; default: all that is kept.",
                "Services",
                _KEPT,
            ),
            "/v1/services/{service}/span_names": _get(
                "A service's span names and kinds in a range, in whole days; default: all that is kept.",
                "SpanNames",
                [_SERVICE, *_KEPT],
            ),
            "/v1/services/{service}/attributes": _get(
                "Attributes of a service's spans, most frequent first: a sample of its newest traces in a range.",
                "Attributes",
                [_SERVICE, _START, _END],
            ),
            "/v1/services/{service}/statistics": _get(
                "A service's calls, errors and durations over time.",
                "Statistics",
                [
                    _SERVICE,
                    _START,
                    _END,
                    _query(
                        "step",
                        "Width of a point, such as 5m; rounded up to whole minutes, in an old range to hours or days. "
                        "The answer's `step_nano` is what it really is. Default: about a hundred points.",
                    ),
                ],
            ),
            "/v1/edges": _get(
                "Calls between services, in whole minutes, in an old range in hours or days.",
                "Edges",
                [_START, _END],
            ),
            "/v1/dead-letters": _get(
                "Messages that could not be stored, and why; what was sent last comes first.",
                "DeadLetters",
                [
                    _query(
                        "limit",
                        "Dead letters a page.",
                        {
                            "type": "integer",
                            "minimum": 1,
                            "maximum": config.DEAD_LETTERS_LIMIT_MAX,
                            "default": config.DEAD_LETTERS_LIMIT_DEFAULT,
                        },
                    ),
                    _query("cursor", "`next` of the page before."),
                ],
            ),
            "/v1/dead-letters/redrive": {
                "post": {
                    "summary": "Send every dead letter back to be stored.",
                    "responses": {
                        "200": _json("The move, begun now or under way.", "Redrive"),
                        "401": _json("A token is needed, or this one is not known.", "Error"),
                        "403": _json(_MAY_NOT_CHANGE, "Error"),
                        "500": _json("A fault of Clew's: its log says more.", "Error"),
                        "503": _json("The queue is busy: try again, after Retry-After.", "Error"),
                    },
                }
            },
            "/openapi.json": {
                "get": {
                    **_FOR_EVERYONE,
                    "summary": "This document.",
                    "responses": {"200": {"description": "OpenAPI 3.1."}},
                }
            },
            "/health": {
                "get": {
                    **_FOR_EVERYONE,
                    "summary": "Whether this function, the queue and a table answer.",
                    "responses": {
                        "200": _json("They do.", "Health"),
                        "503": _json("One does not; ask again, after Retry-After.", "Error"),
                    },
                }
            },
            "/": {
                "get": {
                    **_FOR_EVERYONE,
                    "summary": "The web UI, or a page of links where it is not built.",
                    "responses": {
                        "200": {"description": "HTML."},
                        "304": {"description": "It has the ETag of If-None-Match."},
                    },
                }
            },
            "/assets/{name}": {
                "get": {
                    **_FOR_EVERYONE,
                    "summary": "What the web UI's page loads.",
                    "parameters": [_path("name", "A file's name, as the page has it.")],
                    "responses": {
                        "200": {"description": "The file; its name changes with its content."},
                        "404": _json("There is no such asset.", "Error"),
                    },
                }
            },
        },
        # One of them, or none: a laptop's own Clew wants none.
        "security": [{way: []} for way in _WAYS_TO_SHOW_A_TOKEN] + [{}],
        "components": {"schemas": _SCHEMAS, "securitySchemes": _WAYS_TO_SHOW_A_TOKEN},
    }
