"""The routes, by the events that API Gateway sends: base64 bodies, several values a parameter, no Accept header."""

from __future__ import annotations

import base64
import gzip
import json
import logging
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson
import pytest
from google.rpc.status_pb2 import Status
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from app import app
from chalicelib import config, telemetry, wiring
from chalicelib.dialects import DIALECTS
from chalicelib.errors import StoreError, StoreThrottled
from chalicelib.http.openapi import document
from chalicelib.model.token import Scope
from chalicelib.present import ui
from infra.tokens import make_token
from local.fake_aws import Moto, client
from local.functions import context_of
from tests.columns import rows_in
from tests.events import Got, answer_of, event
from tests.payloads import CLIENT, MILLI, Made, payload, trace_id
from tests.present.built import ASSETS, build
from tests.query.committed import HOUR, SECOND, fold, put

NOW = time.time_ns()
AGO = NOW - 60 * SECOND
SERVICE = "shop/ä +%2F"
TRACE = [
    Made(1, 1, SERVICE, 0, "GET /", start=AGO, duration=30 * MILLI),
    Made(1, 2, SERVICE, 1, "call", CLIENT, AGO + 1, 20 * MILLI, attributes=(("n", 1), ("s", "x"))),
    Made(1, 3, "cart", 2, "GET /cart", start=AGO + 2, duration=10 * MILLI, is_error=True),
]
TRACE_1 = {"trace_id": trace_id(1).hex()}
ACCEPTING_GZIP = {"Accept": "*/*", "Accept-Encoding": "gzip, deflate, br"}
COLUMNS = "application/vnd.clew.columns+json"


def sent(*arguments: Any, **more: Any) -> Got:
    return answer_of(app, *arguments, **more)


def get(resource: str, *query: tuple[str, str], **more: Any) -> Got:
    return sent("GET", resource, query=list(query), **more)


def columns(*query: tuple[str, str], **more: Any) -> Got:
    """The trace of these tests as columns, unless more says otherwise."""
    more = {"path_parameters": TRACE_1, "headers": {"Accept": COLUMNS}, **more}
    return get("/v1/traces/{trace_id}", *query, **more)


def of_service(resource: str, service: str, *query: tuple[str, str]) -> Got:
    parameters = {"service": quote(service, safe="")}
    return get(f"/v1/services/{{service}}/{resource}", *query, path_parameters=parameters)


@pytest.fixture(scope="module")
def aws():
    moto = Moto()
    moto.start(config.PREFIX, {})
    put(wiring.store(), TRACE[:2], NOW // SECOND)
    fold(wiring.store(), NOW // SECOND)
    put(wiring.store(), TRACE[2:], NOW // SECOND)
    yield
    moto.stop()


@pytest.fixture
def built_ui(tmp_path, monkeypatch):
    monkeypatch.setattr(ui, "FOLDER", build(tmp_path / "static"))


@pytest.fixture(autouse=True)
def logged(caplog):
    """Nothing is logged as an error, unless a test takes the records away."""
    with caplog.at_level(logging.INFO):
        yield caplog
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


def forget(logged: pytest.LogCaptureFixture) -> list[str]:
    """The messages logged as errors, which a test expects."""
    messages = [r.getMessage() for r in logged.records if r.levelno >= logging.ERROR]
    logged.clear()
    return messages


class TestQueries:
    def test_a_trace(self, aws):
        """A trace is OTLP/JSON, by its id in every form that people paste."""
        got = get("/v1/traces/{trace_id}", path_parameters={"trace_id": trace_id(1).hex()})
        assert got.status == 200
        assert got.headers["content-type"] == "application/json"
        spans = [
            span["name"]
            for resource in got.json["resourceSpans"]
            for scope in resource["scopeSpans"]
            for span in scope["spans"]
        ]
        assert sorted(spans) == ["GET /", "GET /cart", "call"]
        short = get("/v1/traces/{trace_id}", path_parameters={"trace_id": "1"})
        assert short.json == got.json

    def test_a_trace_as_columns(self, aws):
        """Who accepts columns gets them; every other Accept gets OTLP/JSON, and caches are told of both."""
        got = columns()
        assert got.status == 200
        assert got.headers["content-type"] == "application/vnd.clew.columns+json"
        assert got.headers["vary"] == "Accept, Accept-Encoding"
        assert sorted(row.name for row in rows_in(got.json)) == ["GET /", "GET /cart", "call"]
        assert "attributes" not in got.json
        (call,) = [r for r in rows_in(columns(("attributes", "true")).json) if r.name == "call"]
        assert {each["key"] for each in call.attributes} == {"n", "s"}
        for accept in ("*/*", "application/*", f"{COLUMNS};q=0", "application/json"):
            other = columns(headers={"Accept": accept})
            assert other.headers["content-type"] == "application/json"
            assert other.headers["vary"] == "Accept, Accept-Encoding"
        for accept in (COLUMNS.upper(), f"application/json;q=0.5, {COLUMNS};q=0.9"):
            assert columns(headers={"Accept": accept}).json == got.json

    def test_pages_of_columns(self, aws, monkeypatch):
        """Pages go on from `next`; the details of a span come by the key of its chunk."""
        monkeypatch.setattr(config, "PAGE_SPANS", 1)
        first = columns().json
        second = columns(("cursor", first["next"])).json
        assert second["next"] is None
        names = [row.name for page in (first, second) for row in rows_in(page)]
        assert sorted(names) == ["GET /", "GET /cart", "call"]
        for page in (first, second):
            (chunk,) = page["chunks"]
            assert columns(("chunk", chunk["key"])).json["columns"] == page["columns"]
            row = rows_in(page)[0]
            asked = ("chunk", chunk["key"]), ("span_id", row.span_id.hex())
            got = get("/v1/traces/{trace_id}", *asked, path_parameters=TRACE_1)
            (of_resource,) = got.json["resourceSpans"]
            (span,) = of_resource["scopeSpans"][0]["spans"]
            assert (span["spanId"], span["name"]) == (row.span_id.hex(), row.name)
            elsewhere = get(
                "/v1/traces/{trace_id}", *asked[:1], ("span_id", "f" * 16), path_parameters=TRACE_1
            )
            assert elsewhere.status == 404

    @pytest.mark.parametrize(
        ("query", "parameter"),
        [
            ([("cursor", "x")], "cursor"),
            ([("cursor", "")], "cursor"),
            ([("chunk", "x")], "chunk"),
            ([("chunk", "x")] * 101, "chunk"),
            ([("attributes", "yes")], "attributes"),
            ([("span_id", "1")], "span_id"),
        ],
    )
    def test_wrong_columns(self, aws, query, parameter):
        """What columns do not take is a 400 in JSON."""
        got = columns(*query)
        assert (got.status, got.json["error"]["parameter"]) == (400, parameter)
        assert got.headers["content-type"] == "application/json"

    def test_no_columns(self, aws):
        """Columns of an unknown trace are a 404."""
        assert columns(path_parameters={"trace_id": "f" * 32}).status == 404

    def test_a_cursor_or_chunks(self, aws):
        """A cursor and chunks together are refused: each says which rows."""
        key = columns().json["chunks"][0]["key"]
        got = columns(("chunk", key), ("cursor", key))
        assert (got.status, got.json["error"]["parameter"]) == (400, "cursor")

    @pytest.mark.parametrize(
        ("trace", "status", "code", "parameter"),
        [
            ("f" * 32, 404, "not_found", None),
            ("xyz", 400, "invalid_query", "trace_id"),
            ("0" * 32, 400, "invalid_query", "trace_id"),
            ("%00", 400, "invalid_query", "trace_id"),
            ("%ff", 400, "invalid_query", "trace_id"),
        ],
    )
    def test_no_trace(self, aws, trace, status, code, parameter):
        """An unknown trace is a 404, a malformed id a 400."""
        got = get("/v1/traces/{trace_id}", path_parameters={"trace_id": trace})
        assert got.status == status
        assert got.json["error"]["code"] == code
        assert got.json["error"]["parameter"] == parameter
        assert got.json["error"]["message"]

    def test_a_search_by_every_parameter_finds_its_trace(self, aws):
        """A search by every parameter at once finds the trace of the span that meets them all."""
        got = get(
            "/v1/traces",
            ("service", SERVICE),
            ("span_name", "call"),
            ("attribute", "n=1"),
            ("attribute", "s=x"),
            ("min_duration", "20ms"),
            ("max_duration", "0.02s"),
            ("start", str(AGO // SECOND)),
            ("end", "2100-01-01T00:00:00Z"),
            ("limit", "1"),
        )
        assert got.json == {
            "traces": [
                {
                    "trace_id": trace_id(1).hex(),
                    "root_service": SERVICE,
                    "root_span_name": "GET /",
                    "start_time_unix_nano": str(AGO),
                    "duration_nano": str(30 * MILLI),
                    "span_count": 3,
                    "error_count": 1,
                    "services": sorted([SERVICE, "cart"]),
                    "service_span_counts": {SERVICE: 2, "cart": 1},
                    "service_error_counts": {"cart": 1},
                }
            ],
            "next": None,
            "warnings": [],
        }
        assert get("/v1/traces").json["traces"] == got.json["traces"]
        assert get("/v1/traces", ("attribute", "n=1"), ("status", "error")).json["traces"] == []

    def test_services_and_span_names_are_listed_folded_or_not(self, aws):
        """Services and their span names, folded or not; a name may need percent-encoding."""
        assert get("/v1/services").json == {
            "services": sorted([SERVICE, "cart"]),
            "warnings": [],
        }
        assert of_service("span_names", SERVICE).json == {
            "span_names": [
                {"name": "GET /", "kind": "server"},
                {"name": "call", "kind": "client"},
            ]
        }
        assert of_service("span_names", "nobody").json == {"span_names": []}

    def test_attributes_are_listed_as_a_search_compares_them(self, aws):
        """The attributes of a service's newest spans, with their values as a search compares them."""
        got = of_service("attributes", SERVICE).json
        of_key = {each["key"]: each for each in got["attributes"]}
        assert of_key["n"] == {
            "key": "n",
            "span_count": 1,
            "values": [{"value": "1", "span_count": 1}],
        }
        assert got["attributes"][0] == {
            "key": "service.name",
            "span_count": 2,
            "values": [{"value": SERVICE, "span_count": 2}],
        }
        assert (got["trace_count"], got["warnings"]) == (1, [])
        assert of_service("attributes", "nobody").json == {
            "attributes": [],
            "trace_count": 0,
            "warnings": [],
        }

    def test_statistics_are_of_the_last_hour_by_default(self, aws):
        """Statistics of the last hour by default, in the steps asked for."""
        got = of_service("statistics", "cart", ("step", "5m")).json
        assert (got["service"], got["step_nano"]) == ("cart", str(300 * SECOND))
        (series,) = got["series"]
        assert (series["span_name"], series["kind"]) == ("GET /cart", "server")
        assert (series["total"]["calls"], got["total"]["errors"]) == (1, 1)
        (point,) = series["points"]
        assert int(point["start_time_unix_nano"]) % (300 * SECOND) == 0
        assert int(point["p50_nano"]) == pytest.approx(10 * MILLI, rel=0.011)
        hour_ago = str(NOW // SECOND - 3 * HOUR)
        old = of_service("statistics", "cart", ("start", hour_ago), ("end", hour_ago + ".5")).json
        assert (old["series"], old["total"]["calls"]) == ([], 0)

    def test_a_partly_folded_edge_counts_once(self, aws):
        """An edge whose halves are partly folded counts once."""
        (edge,) = get("/v1/edges").json["edges"]
        assert (edge["caller"], edge["callee"], edge["kind"]) == (SERVICE, "cart", "rpc")
        assert (edge["calls"], edge["errors"]) == (1, 1)
        assert edge["exemplar_trace_id"] == trace_id(1).hex()
        assert int(edge["p99_nano"]) == pytest.approx(20 * MILLI, rel=0.011)

    @pytest.mark.parametrize(
        ("resource", "query", "parameter"),
        [
            ("/v1/traces", [("limit", "0")], "limit"),
            ("/v1/traces", [("limit", "1"), ("limit", "1")], "limit"),
            ("/v1/traces", [("limit", "")], "limit"),
            ("/v1/traces", [("attribute", "x")], "attribute"),
            ("/v1/traces", [("status", "bad")], "status"),
            ("/v1/traces", [("link", "xyz")], "link"),
            ("/v1/traces", [("min_duration", "1")], "min_duration"),
            ("/v1/traces", [("min_duration", "2s"), ("max_duration", "1s")], "max_duration"),
            ("/v1/traces", [("start", "x")], "start"),
            ("/v1/traces", [("cursor", "x")], "cursor"),
            ("/v1/traces", [("servcie", "x")], "servcie"),
            ("/v1/traces", [("service", "\ud800")], "service"),
            ("/v1/traces", [("\ud800", "x")], "?"),
            ("/v1/services", [("end", "x")], "end"),
            ("/v1/services", [("limit", "1")], "limit"),
            ("/v1/edges", [("start", "2"), ("end", "1")], "start"),
            ("/v1/edges", [("step", "1m")], "step"),
            ("/v1/services/{service}/statistics", [("step", "0s")], "step"),
            ("/v1/services/{service}/statistics", [("step", "1")], "step"),
            ("/v1/services/{service}/statistics", [("start", "0"), ("step", "1m")], "step"),
            ("/v1/services/{service}/span_names", [("start", "-1")], "start"),
            ("/v1/services/{service}/attributes", [("start", "-1")], "start"),
            ("/v1/services/{service}/attributes", [("limit", "1")], "limit"),
            ("/v1/traces/{trace_id}", [("raw", "1")], "raw"),
            ("/v1/traces/{trace_id}", [("cursor", "x")], "cursor"),
            ("/v1/traces/{trace_id}", [("chunk", "x")], "chunk"),
            ("/v1/traces/{trace_id}", [("span_id", "x" * 16)], "span_id"),
            ("/v1/traces/{trace_id}", [("span_id", "1" * 16)] * 101, "span_id"),
        ],
    )
    def test_wrong_parameters(self, aws, resource, query, parameter):
        """A parameter of a wrong shape is a 400 that names it, and nothing is logged."""
        path_parameters = {"service": "cart", "trace_id": "1"}
        got = get(resource, *query, path_parameters=path_parameters)
        assert got.status == 400
        assert set(got.json["error"]) == {"code", "message", "parameter"}
        assert got.json["error"]["parameter"] == parameter

    @pytest.mark.parametrize("service", ["x" * 8_193, "\ud800"])
    def test_wrong_services(self, aws, service):
        """A service in a path that no service can be is refused as the parameter service."""
        parameters = {"service": service}
        got = get("/v1/services/{service}/statistics", path_parameters=parameters)
        assert (got.status, got.json["error"]["parameter"]) == (400, "service")

    def test_an_answer_is_gzipped_for_who_takes_it(self, aws):
        """An answer is gzipped for those who take it."""
        got = get("/openapi.json", headers={"Accept": "*/*", "Accept-Encoding": "gzip, deflate"})
        assert got.headers["content-encoding"] == "gzip"
        assert json.loads(gzip.decompress(got.body))["openapi"] == "3.1.0"

    @pytest.mark.parametrize("accept", [None, "application/json", "text/html", "image/png;q=0.1"])
    def test_any_accept_header(self, aws, accept):
        """What a client says it accepts, or that it does not say, never spoils an answer."""
        headers = {} if accept is None else {"accept": accept}
        got = get("/v1/services", headers=headers)
        assert got.status == 200
        assert got.headers["cache-control"] == "no-store"
        assert got.headers["x-content-type-options"] == "nosniff"

    def test_without_accept(self, aws):
        """To a client that does not say what it accepts, text goes as text: no gateway need decode it."""
        for resource, headers in (
            ("/v1/services", {}),
            ("/openapi.json", {"Accept-Encoding": "gzip"}),
        ):
            response = app(event("GET", resource, headers=headers), context_of("api_handler"))
            assert response["isBase64Encoded"] is False
            assert orjson.loads(response["body"])

    def test_any_content_type(self, aws):
        """A GET with a Content-Type, which some clients always send, is answered all the same."""
        assert get("/v1/services", headers={"Content-Type": "text/plain"}).status == 200


class TestStoreInTrouble:
    @pytest.fixture
    def failing(self, monkeypatch):
        def fail_with(error: Exception) -> None:
            def broken() -> Any:
                raise error

            monkeypatch.setattr(wiring, "store", broken)

        return fail_with

    def test_a_throttled_store_is_a_503_with_retry_after(self, failing):
        """A store that refuses for load is a 503 that says when to ask again."""
        failing(StoreThrottled("busy"))
        got = get("/v1/services")
        assert (got.status, got.json["error"]["code"]) == (503, "throttled")
        assert int(got.headers["retry-after"]) > 0

    @pytest.mark.parametrize("error", [StoreError("secret"), RuntimeError("secret")])
    def test_a_broken_store_is_a_500_without_its_reason(self, failing, error, logged):
        """Any other fault is a 500 without its reason, which is logged once."""
        failing(error)
        got = get("/v1/services")
        assert (got.status, got.json["error"]["code"]) == (500, "internal")
        assert b"secret" not in got.body
        assert len(forget(logged)) == 1


class TestIngest:
    def test_spans_reach_the_queue(self, aws):
        """A request without an Accept header is accepted, and its spans are in the queue."""
        body = payload([Made(7, 1, start=AGO)])
        got = sent(
            "POST", "/v1/traces", headers={"Content-Type": "application/x-protobuf"}, body=body
        )
        assert (got.status, got.body) == (200, b"")
        assert got.headers["content-type"] == "application/x-protobuf"
        url = wiring.queue_url(config.SPAN_QUEUE)
        received = client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10)
        (message,) = received["Messages"]
        assert json.loads(message["Body"])["span_count"] == 1
        client("sqs").delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])

    def test_text_is_taken_as_bytes(self, aws):
        """A body that the gateway passes on as text is taken too."""
        got = sent("POST", "/v1/traces", headers={"Content-Type": "application/json"}, body="{}")
        assert (got.status, got.json) == (200, {})

    def test_a_bad_body(self, aws):
        """What is no OTLP is a 400, in the sender's encoding."""
        headers = {"Content-Type": "application/x-protobuf"}
        got = sent("POST", "/v1/traces", headers=headers, body=b"\xff\xff")
        assert got.status == 400
        assert got.headers["content-type"] == "application/x-protobuf"

    @pytest.mark.parametrize("signal", ["metrics", "logs"])
    def test_other_signals(self, signal):
        """Metrics and logs are answered with a partial success that says they were not kept."""
        headers = {"Content-Type": "application/json"}
        got = sent("POST", f"/v1/{signal}", headers=headers, body=b"{}")
        assert got.status == 200
        assert "errorMessage" in got.json["partialSuccess"]

    @pytest.mark.parametrize("error", [StoreThrottled("x"), StoreError("x"), RuntimeError("x")])
    def test_a_queue_in_trouble(self, error, monkeypatch, logged):
        """Whatever is wrong with the queue is a 503 with Retry-After: on 500 a sender drops its spans."""

        class Broken:
            def send(self, messages: Any) -> None:
                raise error

        monkeypatch.setattr(wiring, "sender", Broken)
        body = TracesData.FromString(payload([Made(8, 1)])).SerializeToString()
        headers = {"Content-Type": "application/x-protobuf"}
        got = sent("POST", "/v1/traces", headers=headers, body=body)
        assert got.status == 503
        assert int(got.headers["retry-after"]) > 0
        assert len(forget(logged)) <= 1


ZIPKIN_SPAN = b'{"traceId":"a","id":"b","timestamp":1472470996199000}'


class TestZipkin:
    @pytest.mark.parametrize(
        ("headers", "body"),
        [
            ({}, b"[%b]" % ZIPKIN_SPAN),
            ({"Content-Type": "application/json; charset=utf-8"}, b" [%b]" % ZIPKIN_SPAN),
            ({"Content-Type": "application/x-www-form-urlencoded"}, b"[%b]" % ZIPKIN_SPAN),
            ({"Content-Encoding": "gzip"}, gzip.compress(b"[%b]" % ZIPKIN_SPAN, mtime=0)),
            (
                {"Content-Type": "application/x-protobuf"},
                b"\x0a\x14\x0a\x08aaaaaaaa\x1a\x08bbbbbbbb",
            ),
        ],
    )
    def test_spans_reach_the_queue(self, aws, headers, body):
        """Whatever is not protobuf is JSON; 202 without a body, and the spans are in the queue."""
        got = sent("POST", "/api/v2/spans", headers=headers, body=body)
        assert (got.status, got.body) == (202, b"")
        url = wiring.queue_url(config.SPAN_QUEUE)
        received = client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10)
        (message,) = received["Messages"]
        assert json.loads(message["Body"])["span_count"] == 1
        client("sqs").delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])

    @pytest.mark.parametrize("path", ["/api/v1/spans", "/api/v2/spans"])
    @pytest.mark.parametrize("body", [b"", b"[]"])
    def test_no_zipkin_spans_are_no_error(self, aws, path, body):
        """No spans are no error."""
        assert sent("POST", path, body=body).status == 202

    @pytest.mark.parametrize(
        ("path", "headers", "body", "status", "message"),
        [
            ("v2", {}, b"{}", 400, b"Expected a JSON_V2 encoded list"),
            ("v1", {}, b"[5]", 400, b"Malformed reading List<Span> from json"),
            (
                "v2",
                {"Content-Type": "application/x-protobuf"},
                b"[]",
                400,
                b"Malformed reading List<Span> from proto3",
            ),
            (
                "v1",
                {"Content-Type": "application/x-thrift"},
                b"[]",
                400,
                b"the body is not Thrift",
            ),
            (
                "v2",
                {},
                gzip.compress(b"[" + b" " * 16_000_000 + b"]", mtime=0),
                413,
                b"the body has more than",
            ),
            (
                "v2",
                {"Content-Encoding": "gzip"},
                b"\x1f\x8bxx",
                400,
                b"the compressed body is damaged",
            ),
        ],
    )
    def test_bad_bodies(self, aws, path, headers, body, status, message):
        """They are told as a line of text."""
        got = sent("POST", f"/api/{path}/spans", headers=headers, body=body)
        assert (got.status, got.body[: len(message)]) == (status, message)
        assert got.headers["content-type"].startswith("text/plain")

    def test_a_queue_in_trouble(self, monkeypatch, logged):
        """503 with Retry-After, as long as the queue does not take them."""

        def broken() -> Any:
            raise StoreError("x")

        monkeypatch.setattr(wiring, "sender", broken)
        got = sent("POST", "/api/v2/spans", body=b"[%b]" % ZIPKIN_SPAN)
        assert (got.status, int(got.headers["retry-after"]) > 0) == (503, True)
        forget(logged)

    def test_zipkin_routes_answer_through_the_application(self, aws):
        """A trace that came as OTLP, by the id in the path; and what Zipkin's UI asks first."""
        got = get("/api/v2/trace/{trace_id}", path_parameters={"trace_id": "1"})
        assert [span["name"] for span in got.json] == ["get /", "call", "get /cart"]
        assert get("/zipkin/config.json").json["queryLimit"] == 10
        got = get("/api/v2/trace/{trace_id}", path_parameters={"trace_id": "%C3%A4"})
        assert got.status == 400


OPEN = {"/", "/assets/{name}", "/health", "/openapi.json", "/config.json", "/zipkin/config.json"}
GUARDED = sorted(
    (resource, method)
    for resource, methods in app.routes.items()
    for method in methods
    if resource not in OPEN and method != "OPTIONS"
)
SCOPE_OF_METHOD = {"POST": "ingest", "PUT": "configure"}
# Senders ask these, and askers send this.
SCOPE_OF_RESOURCE = {
    "/sampling": "ingest",
    "/api/sampling": "ingest",
    "/api/transform": "read",
    "/v1/dead-letters/redrive": "configure",
}
KEYS = {
    "both": {"x-api-key": "a-token-for-both"},
    "ingest": {"Authorization": "Bearer a-token-to-ingest"},
    "read": {"Authorization": "Basic " + base64.b64encode(b"me:a-token-to-read").decode()},
    "configure": {"x-api-key": "a-token-to-configure"},
}


class TestAccess:
    @pytest.fixture(autouse=True)
    def tokens(self, aws, monkeypatch):
        monkeypatch.setattr(config, "ACCESS_OPEN", False)
        for name in KEYS:
            scopes = list(Scope) if name == "both" else [Scope(name)]
            text = "a-token-for-both" if name == "both" else f"a-token-to-{name}"
            make_token(wiring.store(), scopes, name, text)

    @pytest.mark.parametrize(("resource", "method"), GUARDED)
    def test_every_route(self, resource, method):
        """Every route but the open ones refuses who shows nothing, a stranger, and a token of the other scope."""
        by_method = SCOPE_OF_METHOD.get(method, "read")
        needed = SCOPE_OF_RESOURCE.get(resource, by_method)
        other = "read" if needed == "ingest" else "ingest"
        parameters = {"service": "cart", "trace_id": "1"}

        def status(**headers: str) -> int:
            return sent(method, resource, path_parameters=parameters, headers=headers).status

        assert status() == 401
        assert status(**{"x-api-key": "a-stranger"}) == 401
        assert status(**KEYS[other]) == 403
        for name in (needed, "both"):
            assert status(**KEYS[name]) not in (401, 403)

    def test_open_routes_are_described(self):
        """What /openapi.json says is for everyone is what is open."""
        open_paths = {
            path
            for path, item in document(DIALECTS)["paths"].items()
            for operation in item.values()
            if operation.get("security") == []
        }
        assert open_paths == OPEN

    @pytest.mark.parametrize("resource", sorted(OPEN))
    def test_open_routes(self, resource, built_ui):
        """What says nothing of anybody's spans needs no token."""
        assert get(resource, path_parameters={"name": "tiny-1.svg"}).status == 200

    @pytest.mark.parametrize(
        ("content_type", "parse"),
        [("application/json", orjson.loads), ("application/x-protobuf", Status.FromString)],
    )
    @pytest.mark.parametrize(("headers", "status", "code"), [({}, 401, 16), (KEYS["read"], 403, 7)])
    def test_a_sender_is_told_in_its_protocol(self, headers, status, code, content_type, parse):
        """A refused sender gets a google.rpc.Status in its own encoding, and how to do better."""
        headers = {**headers, "Content-Type": content_type}
        got = sent("POST", "/v1/traces", headers=headers, body=b"{}")
        assert got.status == status
        assert got.headers["content-type"] == content_type
        told = parse(got.body)
        told = told if isinstance(told, dict) else {"code": told.code, "message": told.message}
        assert told["code"] == code
        assert "token" in told["message"]

    def test_an_asker_is_told(self):
        """A refused asker gets a JSON error, and no challenge for a password."""
        got = get("/v1/services")
        assert got.json["error"]["code"] == "unauthorized"
        assert got.headers["www-authenticate"] == "Bearer"

    def test_refused_before_anything_is_read(self):
        """A stranger's body is not unpacked: what would be a 400 is a 401."""
        headers = {"Content-Type": "application/x-protobuf", "Content-Encoding": "gzip"}
        assert sent("POST", "/v1/traces", headers=headers, body=b"\x1f\x8bxx").status == 401

    @pytest.mark.parametrize("error", [StoreThrottled("secret"), StoreError("x"), KeyError("a")])
    @pytest.mark.parametrize(("resource", "method"), GUARDED)
    def test_tokens_cannot_be_read(self, resource, method, error, monkeypatch):
        """A table that cannot be read is a 503 with Retry-After, never a refusal: senders drop their spans on that."""

        def broken() -> Any:
            raise error

        monkeypatch.setattr(wiring, "access", broken)
        parameters = {"service": "cart", "trace_id": "1"}
        got = sent(method, resource, path_parameters=parameters, headers=KEYS["both"])
        assert got.status == 503
        assert int(got.headers["retry-after"]) > 0
        assert b"secret" not in got.body

    def test_never_in_the_log(self, logged):
        """A token that was shown, good or bad, is in no log line."""
        for headers in (*KEYS.values(), {"x-api-key": "a-stranger"}):
            get("/v1/services", headers=headers)
        assert not [r for r in logged.records if "a-token" in r.getMessage()]
        assert not [r for r in logged.records if "a-stranger" in r.getMessage()]


def test_a_slip_opens_nothing():
    """Only the word open opens Clew: unset, misspelt or empty, tokens are wanted."""
    program = "from chalicelib import config; print(config.ACCESS_OPEN)"
    kept = {k: v for k, v in os.environ.items() if k != "CLEW_ACCESS"}
    for value, expected in ((None, "False"), ("", "False"), ("Open ", "False"), ("open", "True")):
        environment = kept if value is None else {**kept, "CLEW_ACCESS": value}
        done = subprocess.run(
            [sys.executable, "-c", program],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
            cwd=Path(__file__).parents[1],
        )
        assert done.stdout.strip() == expected


class TestPages:
    def test_the_page(self, monkeypatch, tmp_path):
        """Without a UI, the page's links lead on from the stage's path."""
        monkeypatch.setattr(ui, "FOLDER", tmp_path / "none")
        got = get("/")
        assert got.status == 200
        assert got.headers["content-type"].startswith("text/html")
        assert b'<base href="/clew/">' in got.body

    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    def test_the_ui(self, built_ui, method):
        """The built UI's page leads on from the stage's path, runs what is its own, and is asked for again."""
        got = sent(method, "/", headers={"Accept": "text/html,*/*;q=0.8"})
        assert got.status == 200
        assert b'<base href="/clew/">' in got.body
        assert "script-src 'self'" in got.headers["content-security-policy"]
        again = sent(method, "/", headers={"Accept": "*/*", "If-None-Match": got.headers["etag"]})
        assert (again.status, again.body) == (304, b"")
        assert again.headers["cache-control"] == got.headers["cache-control"] == "no-cache"

    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    @pytest.mark.parametrize("name", sorted(ASSETS))
    @pytest.mark.parametrize("headers", [{}, {"Accept": "*/*"}, ACCEPTING_GZIP])
    def test_assets_arrive_byte_for_byte(self, built_ui, name, method, headers):
        """An asset arrives byte for byte, text or not, gzipped or not, whatever the client accepts."""
        got = sent(method, "/assets/{name}", path_parameters={"name": name}, headers=headers)
        assert got.status == 200
        is_gzipped = got.headers.get("content-encoding") == "gzip"
        assert (gzip.decompress(got.body) if is_gzipped else got.body) == ASSETS[name]
        assert "immutable" in got.headers["cache-control"]
        assert "script-src 'self'" in got.headers["content-security-policy"]

    @pytest.mark.parametrize("name", ["nothing.js", "..", "..%2Findex.html", "..%2Fsecret.txt"])
    def test_no_asset(self, built_ui, name):
        """What is no asset is a 404 that nobody keeps."""
        got = get("/assets/{name}", path_parameters={"name": name})
        assert (got.status, got.json["error"]["code"]) == (404, "not_found")
        assert got.headers["cache-control"] == "no-store"

    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    def test_health_is_answered_without_aws(self, method):
        """Health is answered without looking at AWS, to HEAD too."""
        got = sent(method, "/health")
        assert (got.status, got.json) == (200, {"status": "ok"})


@pytest.mark.parametrize(
    ("method", "resource", "status"),
    [
        ("GET", "/health", 200),
        ("GET", "/openapi.json", 200),
        ("GET", "/v1/services", 200),
        ("GET", "/v1/traces/{trace_id}", 404),
        ("GET", "/v1/edges", 400),
        ("POST", "/v1/traces", 200),
        ("GET", "/assets/{name}", 404),
        ("DELETE", "/v1/services", 405),
    ],
)
@pytest.mark.parametrize("headers", [{}, {"Accept": "*/*"}])
def test_a_browser_runs_nothing_of_any_answer(aws, method, resource, status, headers):
    """Every answer, Chalice's own too, may not be sniffed, run, framed, or tell whence one came."""
    parameters = {"trace_id": "f" * 32, "name": "x"}
    query = [("step", "x")] if status == 400 else []
    got = sent(method, resource, parameters, query, headers)
    assert got.status == status
    assert got.headers["x-content-type-options"] == "nosniff"
    assert got.headers["referrer-policy"] == "no-referrer"
    policy = "default-src 'none'; frame-ancestors 'none'"
    assert got.headers["content-security-policy"] == policy


def test_sibling_resources_name_their_parameter_alike():
    """API Gateway refuses two names for one place in a path."""
    names: dict[str, str] = {}
    for resource in app.routes:
        head, brace, rest = resource.partition("{")
        if brace:
            assert names.setdefault(head, rest.partition("}")[0]) == rest.partition("}")[0]


def test_an_import_brings_no_stage_that_a_route_brings():
    """Importing the application imports nothing of query and present: an OTLP request does not pay for them."""
    program = "import app, sys; print([m for m in sys.modules if 'chalicelib.' in m])"
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[1],
    )
    assert "chalicelib.query" not in done.stdout
    assert "chalicelib.present" not in done.stdout


@pytest.mark.parametrize(
    ("resource", "media_type", "body"),
    [
        (
            "/v1/traces",
            "application/x-protobuf",
            payload([Made(7, 1, "shop", 0, "GET /?token=abc", attributes=(("password", "x"),))]),
        ),
        (
            "/api/v2/spans",
            "application/json",
            b'[{"traceId":"7","id":"1","name":"?token=abc","tags":{"password":"x"}}]',
        ),
    ],
)
def test_redacted_values_are_a_metric(aws, monkeypatch, capsys, resource, media_type, body):
    """What redaction took out is counted by one line in CloudWatch's embedded metric format; without, there is none."""
    monkeypatch.setattr(telemetry, "ENABLED", True)
    sent("POST", resource, headers={"Content-Type": media_type}, body=body)
    (line,) = capsys.readouterr().out.splitlines()
    told = orjson.loads(line)
    assert (told["service"], told["values_redacted"]) == ("receive", [2.0])
    (metrics,) = told["_aws"]["CloudWatchMetrics"]
    assert metrics["Namespace"] == "Clew"
    assert {each["Name"] for each in metrics["Metrics"]} == {"values_redacted"}
    clean = body.replace(b"token", b"takes").replace(b"password", b"passport")
    sent("POST", resource, headers={"Content-Type": media_type}, body=clean)
    assert capsys.readouterr().out == ""
