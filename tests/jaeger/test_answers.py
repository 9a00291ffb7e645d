"""Jaeger's query API, asked as its UI and Grafana's data source ask, over spans that came in as OTLP and as Thrift."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SpanMessage
from opentelemetry.proto.trace.v1.trace_pb2 import Status, TracesData

from chalicelib.errors import StoreThrottled
from chalicelib.http.request import QueryRequest
from chalicelib.jaeger.ingest import payload_from_call
from chalicelib.jaeger.render import trace_json
from chalicelib.model.batch import spans_of
from chalicelib.model.span import Scopes
from chalicelib.native.parse import Parameters
from chalicelib.present.otlp_json import traces_data_json
from chalicelib.query.services import hours_of_services
from chalicelib.query.statistics import span_names
from chalicelib.query.trace import trace_by_id
from chalicelib.zipkin.ingest import payload_from_json as zipkin_payload
from tests.dialects import JAEGER as ANSWERS
from tests.dialects import ZIPKIN
from tests.memory_store import MemoryStore
from tests.payloads import CLIENT, MILLI, NOON_NANO, NOON_UNIX_SECONDS, SERVER, Made, trace_id
from tests.query.committed import fold, put, put_payload

GOLDEN = Path(__file__).parents[1] / "golden" / "jaeger" / "python-client-4.8-compact.bin"
MICRO = 1_000
START = NOON_NANO - 60 * 10**9
TRACE = [
    Made(
        1, 1, "shop", 0, "GET /", SERVER, START, 30 * MILLI, attributes=(("n", 2**60), ("f", 0.5))
    ),
    Made(1, 2, "shop", 1, "call", CLIENT, START + MILLI, 20 * MILLI, links=((9, 7),)),
    Made(1, 3, "cart", 2, "GET /cart", SERVER, START + 2 * MILLI, 10 * MILLI, is_error=True),
]
OTHER = [
    Made(
        2, 4, "shop", 0, "GET /other", SERVER, START - MILLI, 5 * MILLI, attributes=(("who", "me"),)
    )
]
# Zipkin's way: both halves of a call under one id.
SHARED = [
    Made(3, 5, "shop", 0, "call", CLIENT, START - 5 * MILLI, 9 * MILLI),
    Made(3, 5, "cart", 0, "call", SERVER, START - 4 * MILLI, 7 * MILLI),
    Made(3, 6, "cart", 5, "below", 1, START - 3 * MILLI, MILLI),
]


@pytest.fixture(scope="module")
def store():
    found = MemoryStore()
    for spans in (TRACE, OTHER, SHARED):
        put(found, spans)
    return found


def asked(
    store: Any, path: dict[str, str] | None = None, body: bytes = b"", **parameters: Any
) -> QueryRequest:
    values = {
        name.replace("__", "."): each if isinstance(each, list) else [str(each)]
        for name, each in parameters.items()
    }
    return QueryRequest(store, path or {}, values, {}, body, NOON_NANO, lambda: True)


def answer(store: Any, route: str, *args: Any, **parameters: Any) -> tuple[int, Any]:
    got = ANSWERS[route](asked(store, *args, **parameters))
    return got.status, orjson.loads(got.body)


def data(store: Any, route: str, *args: Any, **parameters: Any) -> Any:
    status, got = answer(store, route, *args, **parameters)
    assert (status, got["errors"]) == (200, None)
    return got["data"]


def test_services_and_operations(store):
    """Names sorted, kinds in lower case; a kind narrows."""
    assert data(store, "GET /api/services") == ["cart", "shop"]
    assert data(store, "GET /api/services/{service}/operations", {"service": "shop"}) == [
        "GET /",
        "GET /other",
        "call",
    ]
    assert data(store, "GET /api/operations", service="shop", spanKind="client") == [
        {"name": "call", "spanKind": "client"}
    ]
    assert answer(store, "GET /api/v3/services")[1] == {"services": ["cart", "shop"]}
    _, got = answer(store, "GET /api/v3/operations", service="cart")
    assert {"name": "below", "spanKind": "internal"} in got["operations"]


def test_a_trace_has_jaeger_processes_references_and_tags(store):
    """Processes by resource, references, tags by type, times in microseconds, the status as tags."""
    (trace,) = data(store, "GET /api/traces/{trace_id}", {"trace_id": "1"})
    assert trace["traceID"] == "0000000000000001"
    names = {key: each["serviceName"] for key, each in trace["processes"].items()}
    root, call, callee = trace["spans"]
    assert [names[each["processID"]] for each in trace["spans"]] == ["shop", "shop", "cart"]
    assert root["references"] == []
    assert call["references"] == [
        {"refType": "CHILD_OF", "traceID": "0000000000000001", "spanID": root["spanID"]},
        {"refType": "FOLLOWS_FROM", "traceID": "0000000000000009", "spanID": "0000000000000007"},
    ]
    assert (root["startTime"], root["duration"]) == (START // MICRO, 30_000)
    tags = {each["key"]: (each["type"], each["value"]) for each in root["tags"]}
    assert tags["n"] == ("int64", str(2**60))
    assert tags["f"] == ("float64", 0.5)
    assert tags["span.kind"] == ("string", "server")
    tags = {each["key"]: (each["type"], each["value"]) for each in callee["tags"]}
    assert tags["error"] == ("bool", True)
    assert tags["otel.status_code"] == ("string", "ERROR")


def test_shared_ids(store):
    """A server's half gets an id of its own, below its client's, and what it called hangs below it; raw leaves all."""
    (trace,) = data(store, "GET /api/traces/{trace_id}", {"trace_id": "3"})
    client, server, below = trace["spans"]
    assert server["spanID"] != client["spanID"]
    assert server["references"][0]["spanID"] == client["spanID"]
    assert below["references"][0]["spanID"] == server["spanID"]
    (raw,) = data(store, "GET /api/traces/{trace_id}", {"trace_id": "3"}, raw="true")
    assert len({each["spanID"] for each in raw["spans"]}) == 2


def test_unknown_trace(store):
    """404, which Grafana wants: it looks into what a 200 holds without asking whether there is any."""
    assert answer(store, "GET /api/traces/{trace_id}", {"trace_id": "77"}) == (
        404,
        {
            "data": None,
            "total": 0,
            "limit": 0,
            "offset": 0,
            "errors": [{"code": 404, "msg": "trace not found"}],
        },
    )
    status, got = answer(store, "GET /api/v3/traces/{trace_id}", {"trace_id": "77"})
    assert (status, got["error"]["httpCode"]) == (404, 404)


def test_traces_by_id(store):
    """Those that are there, and an error for each that is not."""
    status, got = answer(store, "GET /api/traces", traceID=["1", "77", "2"])
    assert status == 200
    assert [int(each["traceID"], 16) for each in got["data"]] == [1, 2]
    assert got["errors"] == [{"msg": "trace not found", "traceID": trace_id(0x77).hex()}]


TIMES = {
    "query__startTimeMin": "2026-01-01T00:00:00Z",
    "query__startTimeMax": "2026-01-02T00:00:00Z",
}


def test_third_api(store):
    """Summaries by their 32 digits, times as decimal strings; traces are OTLP; none found is 404."""
    status, got = answer(store, "GET /api/v3/trace-summaries", query__serviceName="cart", **TIMES)
    assert status == 200
    first = got["summaries"][0]
    assert first["traceId"] == trace_id(1).hex()
    assert (first["rootServiceName"], first["spanCount"], first["errorSpanCount"]) == ("shop", 3, 1)
    assert first["minStartTimeUnixNano"] == str(START)
    assert first["services"][0] == {"name": "cart", "spanCount": 1, "errorSpanCount": 1}
    snake = {"query__service_name": "shop", "query__operation_name": "GET /other", **TIMES}
    _, got = answer(store, "GET /api/v3/traces", **snake)
    spans = trace_by_id(store, trace_id(2), NOON_UNIX_SECONDS)
    assert got["result"] == traces_data_json(spans)
    status, _ = answer(store, "GET /api/v3/traces", query__serviceName="nobody", **TIMES)
    assert status == 404


def test_dependencies_count_calls_by_pair(store):
    """Calls by pair, of which one has a client and a server of one id; a service narrows."""
    found = data(store, "GET /api/dependencies", endTs=NOON_NANO // MILLI, lookback=3_600_000)
    assert {"parent": "shop", "child": "cart", "callCount": 2} in found
    assert data(store, "GET /api/dependencies", service="nobody") == []
    _, got = answer(store, "GET /api/v3/dependencies")
    assert {"parent": "shop", "child": "cart", "callCount": "2"} in got["dependencies"]


def test_metrics_have_latencies_rates_and_error_shares(store):
    """Latencies in milliseconds, calls a second, errors as a share, with zeros where there are calls and no errors."""
    asked_for = {"service": ["cart", "shop"], "step": 60_000, "groupByOperation": "true"}
    _, got = answer(store, "GET /api/metrics/latencies", quantile=0.95, **asked_for)
    assert got["name"] == "service_operation_latencies"
    labels = [tuple(label["value"] for label in each["labels"]) for each in got["metrics"]]
    assert ("cart", "GET /cart") in labels
    assert ("shop", "GET /other") in labels
    (point,) = got["metrics"][labels.index(("cart", "GET /cart"))]["metricPoints"]
    assert point["gaugeValue"]["doubleValue"] == pytest.approx(10, rel=0.02)
    _, got = answer(store, "GET /api/metrics/errors", **asked_for)
    values = [
        point["gaugeValue"]["doubleValue"]
        for each in got["metrics"]
        for point in each["metricPoints"]
    ]
    assert sorted(set(values)) == [0, 1]
    _, got = answer(store, "GET /api/metrics/calls", service="shop", step=60_000)
    assert [label["value"] for label in got["metrics"][0]["labels"]] == ["shop"]
    total = sum(p["gaugeValue"]["doubleValue"] for p in got["metrics"][0]["metricPoints"])
    assert total * 60 == pytest.approx(2)


def test_otlp_json_becomes_jaeger_traces(store):
    """OTLP/JSON becomes Jaeger's traces, whatever the store holds."""
    spans = trace_by_id(store, trace_id(1), NOON_UNIX_SECONDS)
    body = orjson.dumps(traces_data_json(spans))
    (transformed,) = data(store, "POST /api/transform", {}, body)
    (stored,) = data(store, "GET /api/traces/{trace_id}", {"trace_id": "1"}, raw="1")
    assert transformed == stored


def test_transform_says_what_it_leaves_out(store):
    """Spans of an uploaded file that no trace can hold are told as errors with their reason; the others are shown."""
    good = {"traceId": "01" * 16, "spanId": "02" * 8, "name": "good"}
    for bad in ({"traceId": "", "spanId": ""}, good | {"droppedAttributesCount": -1}):
        document = {"resourceSpans": [{"scopeSpans": [{"spans": [bad, good, bad]}]}]}
        status, got = answer(store, "POST /api/transform", {}, orjson.dumps(document))
        assert status == 200
        assert [span["operationName"] for trace in got["data"] for span in trace["spans"]] == [
            "good"
        ]
        (error,) = got["errors"]
        assert "2" in error["msg"]
        assert "left out" in error["msg"]
    nothing = {"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "", "spanId": ""}]}]}]}
    status, got = answer(store, "POST /api/transform", {}, orjson.dumps(nothing))
    assert (status, got["data"], len(got["errors"])) == (200, [], 1)


TOLD = {
    "span.kind": "client",
    "error": True,
    "otel.status_code": "ERROR",
    "otel.status_description": "why",
    "w3c.tracestate": "a=b",
    "otel.scope.name": "own-scope",
    "otel.scope.version": "1",
}


@given(
    st.lists(
        st.tuples(
            st.sampled_from([*TOLD, "other", "jaeger.debug"]),
            st.sampled_from(["x", "server", "OK", "true", "", 5, 0.5, True, False]),
        ),
        max_size=8,
        unique_by=lambda each: each[0],
    ),
    st.sets(st.sampled_from([*TOLD])),
)
@settings(deadline=None)
def test_a_told_tag_replaces_the_attribute_of_its_key(attributes, told):
    """What a field tells is the one tag of its key, whatever attribute the span has of it; all else stays a tag."""
    data = TracesData()
    scope_spans = data.resource_spans.add().scope_spans.add()
    span = scope_spans.spans.add(
        trace_id=trace_id(1), span_id=b"12345678", name="told", start_time_unix_nano=5
    )
    for key, value in attributes:
        kind = {str: "string_value", int: "int_value", float: "double_value", bool: "bool_value"}
        setattr(span.attributes.add(key=key).value, kind[type(value)], value)
    if "span.kind" in told:
        span.kind = SpanMessage.SPAN_KIND_CLIENT
    if told & {"error", "otel.status_code"}:
        told = told | {"error", "otel.status_code"}
        span.status.code = Status.STATUS_CODE_ERROR
    if "otel.status_description" in told:
        span.status.message = "why"
    if "w3c.tracestate" in told:
        span.trace_state = "a=b"
    if "otel.scope.name" in told:
        scope_spans.scope.name = "own-scope"
    if "otel.scope.version" in told:
        scope_spans.scope.version = "1"
    (read,) = spans_of(data.SerializeToString(), Scopes())
    (shown,) = trace_json([read], is_raw=True)["spans"]
    tags = [(tag["key"], tag["value"]) for tag in shown["tags"]]
    wanted = {key: value for key, value in attributes if key != "jaeger.debug"}
    wanted |= {key: TOLD[key] for key in told}
    assert sorted(key for key, _ in tags) == sorted(wanted)
    assert dict(tags) == wanted
    assert shown.get("flags", 0) == (2 if "jaeger.debug" in dict(attributes) else 0)


def test_the_sender_of_a_zipkin_span_says_its_scope():
    """The scope that Clew gives to Zipkin's spans hides no tag in which their sender says another."""
    sent = {
        "traceId": "1" * 16,
        "id": "2" * 16,
        "timestamp": 5,
        "tags": {"otel.scope.name": "flask", "error": "timeout"},
    }
    (read,) = spans_of(zipkin_payload(orjson.dumps([sent])).payload, Scopes())
    (shown,) = trace_json([read], is_raw=True)["spans"]
    assert {tag["key"]: tag["value"] for tag in shown["tags"]} == {
        "otel.scope.name": "flask",
        "otel.status_code": "ERROR",
        "otel.status_description": "timeout",
        "error": True,
    }


def test_a_link_to_the_parent_says_how_it_is_referred_to():
    """A span that only follows from another hangs below it, by one reference of its own type."""
    follower = Made(4, 8, "shop", 7, "later", 1, START, MILLI, links=((4, 7),))
    store = MemoryStore()
    put(store, [Made(4, 7, "shop", 0, "accept", 1, START, MILLI), follower])
    (trace,) = data(store, "GET /api/traces/{trace_id}", {"trace_id": "4"})
    assert [each["references"] for each in trace["spans"]] == [
        [],
        [
            {
                "refType": "FOLLOWS_FROM",
                "traceID": "0000000000000004",
                "spanID": "0000000000000007",
            }
        ],
    ]


@pytest.mark.parametrize("ahead_seconds", [1_800, 7_200, 14 * 3_600, 86_000])
def test_a_service_whose_clock_is_ahead_is_listed(ahead_seconds):
    """Lists of names hold what clocks up to a day ahead have sent, in every dialect, folded or not."""
    now = NOON_UNIX_SECONDS
    ahead = Made(
        *(1, 1, "ahead", 0, "GET /", CLIENT, NOON_NANO + ahead_seconds * 10**9, MILLI),
        attributes=(("peer.service", "db"),),
    )
    store = MemoryStore()
    put(store, [ahead])
    for _ in range(2):
        assert data(store, "GET /api/services") == ["ahead"]
        assert data(store, "GET /api/services/{service}/operations", {"service": "ahead"}) == [
            "GET /"
        ]
        named: list[tuple[str, dict[str, Any]]] = [
            ("services", {}),
            *((route, {"serviceName": "ahead"}) for route in ("spans", "remoteServices")),
        ]
        of_zipkin = {
            route: orjson.loads(ZIPKIN[f"GET /api/v2/{route}"](asked(store, **names)).body)
            for route, names in named
        }
        assert of_zipkin == {"services": ["ahead"], "spans": ["get /"], "remoteServices": ["db"]}
        listed = Parameters({}, ("start", "end")).listed_range(NOON_NANO)
        assert list(hours_of_services(store, listed, now)) == ["ahead"]
        assert span_names(store, "ahead", listed, now) == [("GET /", CLIENT)]
        asked_for = Parameters({"end": [str(now)]}, ("start", "end")).listed_range(NOON_NANO)
        assert not hours_of_services(store, asked_for, now) or ahead_seconds < 3_600
        fold(store)


def test_round_trip_of_thrift():
    """What jaeger_client sent comes out with every tag, log and reference, under its own key and type."""
    store = MemoryStore()
    content = payload_from_call(GOLDEN.read_bytes()).payload
    put_payload(store, content)
    (scope_spans,) = TracesData.FromString(content).resource_spans[0].scope_spans
    sent = scope_spans.spans[0].trace_id.hex()
    (trace,) = data(store, "GET /api/traces/{trace_id}", {"trace_id": sent})
    (process,) = trace["processes"].values()
    assert process["serviceName"] == "my-service"
    assert {tag["key"] for tag in process["tags"]} >= {"hostname", "ip", "jaeger.version"}
    parent, child = trace["spans"]
    tags = {tag["key"]: (tag["type"], tag["value"]) for tag in parent["tags"]}
    assert tags == {
        "sampler.type": ("string", "const"),
        "sampler.param": ("bool", True),
        "http.method": ("string", "GET"),
        "n": ("int64", 5),
        "f": ("float64", 0.5),
        "b": ("bool", True),
        "span.kind": ("string", "server"),
    }
    assert child["references"][0]["spanID"] == parent["spanID"]
    fields = {tag["key"]: tag["value"] for tag in child["logs"][0]["fields"]}
    assert fields == {"event": "error", "message": "no", "error.kind": "ValueError"}
    assert (parent["flags"], child["flags"]) == (1, 1)


@pytest.mark.parametrize(
    ("route", "parameters"),
    [
        ("GET /api/traces", {}),
        ("GET /api/traces", {"service": "shop", "limit": "-1"}),
        ("GET /api/traces", {"service": "shop", "tags": "[]"}),
        ("GET /api/traces", {"service": "shop", "tags": '{"a":1}'}),
        ("GET /api/traces", {"service": "shop", "tag": ["key"]}),
        ("GET /api/traces", {"service": "shop", "tag": ["span.kind:odd"]}),
        ("GET /api/traces", {"service": "shop", "minDuration": "5"}),
        ("GET /api/traces", {"service": "shop", "minDuration": "2s", "maxDuration": "1s"}),
        ("GET /api/traces", {"service": "shop", "start": 5, "end": 4}),
        ("GET /api/traces", {"service": "shop", "start": "9" * 30}),
        ("GET /api/traces", {"traceID": ["xyz"]}),
        ("GET /api/operations", {}),
        ("GET /api/operations", {"service": "shop", "spanKind": "odd"}),
        ("GET /api/dependencies", {"lookback": "0"}),
        ("GET /api/dependencies", {"endTs": "now"}),
        ("GET /api/metrics/latencies", {"service": "shop"}),
        ("GET /api/metrics/latencies", {"service": "shop", "quantile": "2"}),
        ("GET /api/metrics/calls", {}),
        ("POST /api/transform", {}),
        ("GET /api/v3/traces", {}),
        ("GET /api/v3/traces", {**TIMES, "query__startTimeMax": "2025-01-01T00:00:00Z"}),
        ("GET /api/v3/traces", {**TIMES, "query__attributes": "{"}),
        ("GET /api/v3/trace-summaries", {**TIMES, "query__durationMin": "fast"}),
    ],
)
def test_bad_questions(store, route, parameters):
    """A wrong parameter is a 400 that says what is wrong, in the API's own form."""
    status, got = answer(store, route, {"trace_id": "x"}, **parameters)
    assert status == 400
    message = got["error"]["message"] if "/v3/" in route else got["errors"][0]["msg"]
    assert message


def test_a_busy_store(store, monkeypatch):
    """A store that refuses for load is a 503; any other fault a 500 without its reason."""

    def query(*_: Any, **__: Any) -> Any:
        raise StoreThrottled("secret")

    monkeypatch.setattr(store, "query", query)
    status, got = answer(store, "GET /api/services")
    assert (status, got["errors"][0]["code"]) == (503, 503)
    assert "secret" not in str(got)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    route=st.sampled_from(sorted(ANSWERS)),
    parameters=st.dictionaries(
        st.sampled_from(
            [
                *("service", "operation", "start", "end", "limit", "tag", "tags", "traceID", "raw"),
                *("minDuration", "spanKind", "quantile", "endTs", "lookback", "step"),
                *(
                    "query.serviceName",
                    "query.startTimeMin",
                    "query.startTimeMax",
                    "query.attributes",
                ),
            ]
        ),
        st.lists(
            st.text(max_size=30) | st.sampled_from(["1", "0", "shop", "-1", "1e9"]), min_size=1
        ),
        max_size=5,
    ),
    path=st.text(min_size=1, max_size=40),
    body=st.binary(max_size=100),
)
def test_nothing_is_a_fault(store, route, parameters, path, body):
    """Whatever is asked, the answer is an answer: never a 500."""
    question = QueryRequest(
        store, {"service": path, "trace_id": path}, parameters, {}, body, NOON_NANO, lambda: True
    )
    assert ANSWERS[route](question).status in (200, 400, 404)
