"""From the stock exporter's socket to every answer, on a whole Clew: nothing in between is replaced but AWS."""

from __future__ import annotations

import json
import socket
from typing import Any
from urllib.parse import urlsplit

import pytest
from jsonschema import Draft202012Validator
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from local.stack import LaptopStack
from tests.columns import rows_in
from tests.e2e.shop import (
    CLIENT,
    CONSUMER,
    MILLI,
    SHOP,
    SLOW_MS,
    Order,
    Services,
    edges,
    export,
    get,
    http,
    make_orders,
    minutes_ago,
    otlp_json,
    protobuf_of,
    query_url,
    seconds_text,
    span_id_of,
    trace_id_of,
)
from tests.payloads import Made, payload

PROTOBUF = {"Content-Type": "application/x-protobuf"}
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def stack():
    with LaptopStack(batch_window_seconds=0.05, run_schedules=False) as started:
        yield started


@pytest.fixture(scope="module")
def url(stack):
    return stack.url


@pytest.fixture
def services():
    return Services()


@pytest.fixture(scope="module")
def order(stack: LaptopStack) -> Order:
    """Three orders, the spans of each service in a request of its own, every other one gzipped."""
    order, batches = make_orders()
    for place, spans in enumerate(batches):
        export(stack.url, spans, Compression.Gzip if place % 2 else None)
    stack.wait_until_stored()
    return order


def answered_spans(document: Any) -> list[dict[str, Any]]:
    """The same of an answer."""
    found = []
    for resource_spans in document["resourceSpans"]:
        for scope_spans in resource_spans["scopeSpans"]:
            for span in scope_spans["spans"]:
                status = span.get("status", {})
                found.append(
                    {
                        "resource": answered_attributes(resource_spans["resource"]),
                        "scope": (scope_spans["scope"]["name"], scope_spans["scope"]["version"]),
                        **{
                            name: span.get(name, "")
                            for name in ("traceId", "spanId", "parentSpanId", "name", "kind")
                        },
                        "flags": span.get("flags", 0),
                        "startTimeUnixNano": span["startTimeUnixNano"],
                        "endTimeUnixNano": span["endTimeUnixNano"],
                        "status": (status.get("code", 0), status.get("message", "")),
                        "attributes": answered_attributes(span),
                        "events": [
                            (event["timeUnixNano"], event["name"], answered_attributes(event))
                            for event in span.get("events", [])
                        ],
                        "links": [
                            (link["traceId"], link["spanId"], answered_attributes(link))
                            for link in span.get("links", [])
                        ],
                    }
                )
    return sorted(found, key=lambda span: span["spanId"])


def answered_attributes(holder: Any) -> list[tuple[str, Any]]:
    def value(of: Any) -> Any:
        ((kind, held),) = of.items()
        if kind == "arrayValue":
            return [value(each) for each in held["values"]]
        return int(held) if kind == "intValue" else held

    return [
        (attribute["key"], value(attribute["value"])) for attribute in holder.get("attributes", [])
    ]


def found_ids(url: str, *pairs: tuple[str, Any], **parameters: Any) -> list[str]:
    """Trace ids of a search, which must not warn."""
    answer = get(url, "/v1/traces", *pairs, **parameters)
    assert answer["warnings"] == []
    return [summary["trace_id"] for summary in answer["traces"]]


class TestTrace:
    def test_as_it_was_sent(self, url, order):
        """A trace has every span that was sent for it, equal in every field that the exporter wrote."""
        assert answered_spans(get(url, f"/v1/traces/{order.trace_ids[0]}")) == order.spans
        assert len(order.spans) == 8

    @pytest.mark.parametrize("compression", [None, Compression.Gzip, Compression.Deflate])
    def test_spans_survive_every_compression_of_the_exporter(self, stack, services, compression):
        """Events, links and statuses survive each way in which the exporter can compress them."""
        start = minutes_ago(2)
        linked = services.span("events", "linked", start)
        span = services.span(
            *("events", "fails", start, 5),
            kind=CONSUMER,
            links=[linked],
            is_error=True,
            exception=KeyError("nothing"),
        )
        spans = services.take()
        export(stack.url, spans, compression)
        stack.wait_until_stored()
        answer = answered_spans(get(stack.url, f"/v1/traces/{trace_id_of(span)}"))
        assert answer == otlp_json(protobuf_of(spans), trace_id_of(span))
        (answered,) = answer
        assert answered["events"][0][1] == "exception"
        assert answered["links"][0][:2] == (trace_id_of(linked), span_id_of(linked))
        assert answered["status"] == (2, "it failed")

    def test_ids_as_people_paste_them(self, url, order):
        """Upper case and X-Ray's form of an id find the same trace."""
        trace_id = order.trace_ids[0]
        expected = get(url, f"/v1/traces/{trace_id}")
        assert get(url, f"/v1/traces/{trace_id.upper()}") == expected
        assert get(url, f"/v1/traces/1-{trace_id[:8]}-{trace_id[8:]}") == expected

    def test_an_unknown_trace_is_not_found(self, url):
        """A trace that nobody sent is 404."""
        reply = http(f"{url}/v1/traces/{'ab' * 16}")
        assert (reply.status, reply.json["error"]["code"]) == (404, "not_found")

    @pytest.mark.parametrize(
        "trace_id", ["xyz", "0" * 32, "ab" * 17, "-1", "%20", "%00", "%C3%A9", "1-2-3"]
    )
    def test_malformed_id(self, url, trace_id):
        """What is no trace id is 400, and the parameter is named."""
        reply = http(f"{url}/v1/traces/{trace_id}")
        assert (reply.status, reply.json["error"]["parameter"]) == (400, "trace_id")


class TestSearch:
    @pytest.mark.parametrize(
        ("parameters", "expected"),
        [
            ({"service": "shop-front"}, [2, 1, 0]),
            ({"service": "shop-stock"}, [2, 1, 0]),
            ({"service": "shop"}, []),
            ({"span_name": "SELECT stock"}, [2, 1, 0]),
            ({"service": "shop-front", "span_name": "POST /orders"}, [2, 1, 0]),
            ({"service": "shop-front", "span_name": "SELECT stock"}, []),
            ({"attribute": "order.number=42"}, [1]),
            ({"attribute": "user=user 2 & co"}, [2]),
            ({"attribute": "order.number=4"}, []),
            ({"service": "shop-orders", "attribute": "ratio=0.25"}, [2, 1, 0]),
            ({"service": "shop-orders", "attribute": "fine=true"}, [2, 1, 0]),
            ({"service": "shop-orders", "attribute": "empty="}, [2, 1, 0]),
            ({"service": "shop-orders", "attribute": "service.version=1.2.3"}, [2, 1, 0]),
            ({"service": "shop-stock", "attribute": "ratio=0.25"}, []),
            ({"service": "shop-front", "status": "error"}, [1]),
            ({"service": "shop-stock", "status": "error"}, []),
            ({"service": "shop-front", "min_duration": "101ms"}, [2]),
            ({"service": "shop-front", "min_duration": "700ms"}, [2]),
            ({"service": "shop-front", "min_duration": "700.000001ms"}, []),
            (
                {"service": "shop-front", "span_name": "POST /orders", "max_duration": "100ms"},
                [1, 0],
            ),
            (
                {"service": "shop-front", "span_name": "POST /orders", "max_duration": "99ms"},
                [],
            ),
            (
                {"service": "shop-front", "min_duration": "0.1s", "max_duration": "0.6s"},
                [1, 0],
            ),
        ],
    )
    def test_exactly_the_traces_that_meet_every_condition_are_found(
        self, url, order, parameters, expected
    ):
        """Exactly the traces of which one span meets every condition are found, the newest first."""
        assert found_ids(url, **parameters) == [order.trace_ids[place] for place in expected]

    def test_attributes_together(self, url, order):
        """Two attributes must be on one span."""
        number, user = ("attribute", "order.number=42"), ("attribute", "user=user 1 & co")
        assert found_ids(url, number, user) == [order.trace_ids[1]]
        assert found_ids(url, number, ("attribute", "user=user 2 & co")) == []
        assert found_ids(url, number, ("attribute", "fine=true")) == []

    def test_time_range(self, url, order):
        """The start of the range is in it, its end is not, to the nanosecond."""
        first, second, third = order.starts
        page = {"service": "shop-front", "span_name": "POST /orders"}

        def between(start: int, end: int) -> list[int]:
            found = found_ids(url, start=seconds_text(start), end=seconds_text(end), **page)
            return [order.trace_ids.index(trace_id) for trace_id in found]

        assert between(first, third) == [1, 0]
        assert between(first + 1, third + 1) == [2, 1]
        assert between(second, second + 1) == [1]
        assert between(third + 1, third + 2) == []

    @pytest.mark.parametrize("limit", [1, 2])
    def test_pages_together_are_the_whole_list(self, url, order, limit):
        """Pages one after another are the one page, each trace once, and the last has no next."""
        whole = get(url, "/v1/traces", service="shop-orders")
        assert len(whole["traces"]) == 3
        assert whole["next"] is None
        paged: list[Any] = []
        cursor: dict[str, str] = {}
        for _ in range(4):
            page = get(url, "/v1/traces", service="shop-orders", limit=limit, **cursor)
            assert len(page["traces"]) <= limit
            paged += page["traces"]
            if page["next"] is None:
                break
            cursor = {"cursor": page["next"]}
        assert page["next"] is None
        assert paged == whole["traces"]

    def test_a_listed_trace_has_its_root_width_and_counts(self, url, order):
        """A trace in a list is told by its root, its width and its counts."""
        (summary,) = get(url, "/v1/traces", attribute="order.number=42")["traces"]
        assert summary == {
            "trace_id": order.trace_ids[1],
            "root_service": "shop-front",
            "root_span_name": "POST /orders",
            "start_time_unix_nano": str(order.starts[1]),
            "duration_nano": str(100 * MILLI),
            "span_count": 8,
            "error_count": 3,
            "services": ["shop-front", "shop-orders", "shop-stock"],
            "service_span_counts": {"shop-front": 2, "shop-orders": 5, "shop-stock": 1},
            "service_error_counts": {"shop-front": 1, "shop-orders": 2},
        }


def statistics(url: str, service: str, **parameters: Any) -> Any:
    return get(url, f"/v1/services/{service}/statistics", **parameters)


def bucket_counts(figures: Any) -> int:
    histogram = figures["histogram"]
    return int(histogram["zeroCount"]) + sum(map(int, histogram["positive"]["bucketCounts"]))


class TestServices:
    def test_every_service_that_sent_is_listed(self, url, order):
        """Every service that sent a span is listed, sorted."""
        listed = get(url, "/v1/services")["services"]
        assert set(SHOP) <= set(listed)
        assert listed == sorted(listed)

    def test_span_names(self, url, order):
        """A service's span names come with their kinds."""
        assert get(url, "/v1/services/shop-orders/span_names")["span_names"] == [
            {"name": "POST /charges", "kind": "client"},
            {"name": "POST /orders", "kind": "server"},
            {"name": "SELECT stock", "kind": "client"},
            {"name": "check", "kind": "internal"},
            {"name": "send order-events", "kind": "producer"},
        ]

    def test_unknown_service(self, url, order):
        """A service that sent nothing has no names and no calls."""
        assert get(url, "/v1/services/nobody/span_names") == {"span_names": []}
        assert statistics(url, "nobody")["total"]["calls"] == 0

    def test_any_name(self, stack, services):
        """A service's name may hold whatever a path may not."""
        name = "a/b c?d=é%2F"
        services.span(name, "work", minutes_ago(1))
        export(stack.url, services.take())
        stack.wait_until_stored()
        assert name in get(stack.url, "/v1/services")["services"]
        encoded = "a%2Fb%20c%3Fd%3D%C3%A9%252F"
        reply = http(f"{stack.url}/v1/services/{encoded}/span_names")
        assert reply.json == {"span_names": [{"name": "work", "kind": "server"}]}
        assert http(f"{stack.url}/v1/services/{encoded}/statistics").json["total"]["calls"] == 1

    def test_calls_are_counted_exactly_and_quantiles_within_bounds(self, url, order):
        """Calls and errors are counted exactly, quantiles are within 1.1 %, and histograms hold every call."""
        answer = statistics(url, "shop-front")
        assert answer["warnings"] == []
        by_name = {series["span_name"]: series for series in answer["series"]}
        page = by_name["POST /orders"]
        assert (page["kind"], page["total"]["calls"], page["total"]["errors"]) == ("server", 3, 1)
        assert int(page["total"]["p50_nano"]) == pytest.approx(100 * MILLI, rel=0.011)
        assert int(page["total"]["p99_nano"]) == pytest.approx(SLOW_MS * MILLI, rel=0.011)
        assert answer["total"] == page["total"]
        for series in answer["series"]:
            assert bucket_counts(series["total"]) == series["total"]["calls"]
            assert sum(point["calls"] for point in series["points"]) == series["total"]["calls"]
            assert all(bucket_counts(point) == point["calls"] for point in series["points"])

    def test_a_point_holds_what_started_in_its_step(self, url, order):
        """A point holds what started in its step."""
        answer = statistics(url, "shop-front", step="1m")
        minute = 60 * 10**9
        assert answer["step_nano"] == str(minute)
        (page,) = [s for s in answer["series"] if s["span_name"] == "POST /orders"]
        assert [(int(p["start_time_unix_nano"]), p["errors"]) for p in page["points"]] == [
            (start // minute * minute, error)
            for start, error in zip(order.starts, (0, 1, 0), strict=True)
        ]

    def test_many_durations(self, stack, services):
        """The median and the tail of many different durations are within 1.1 % of the true ones."""
        durations = [1 + number**2 / 10 for number in range(200)]
        start = minutes_ago(3)
        for number, milliseconds in enumerate(durations):
            services.span("quantiles", "work", start + number, milliseconds)
        export(stack.url, services.take())
        stack.wait_until_stored()
        total = statistics(stack.url, "quantiles")["total"]
        assert total["calls"] == bucket_counts(total) == 200
        for name, rank in (("p50", 99), ("p90", 179), ("p95", 189), ("p99", 197)):
            expected = pytest.approx(durations[rank] * MILLI, rel=0.011)
            assert int(total[f"{name}_nano"]) == expected


class TestEdges:
    def test_every_kind_of_call_is_an_edge_counted_once(self, stack, order):
        """Calls, queues, databases and strangers are edges, each counted once, the linked consumer's too."""
        stack.summarise()
        found = edges(stack.url, *SHOP)
        counted = {key: (edge["calls"], edge["errors"]) for key, edge in found.items()}
        assert counted == {
            ("shop-front", "shop-orders", "rpc"): (3, 1),
            ("shop-orders", "stock-db", "database"): (3, 0),
            ("shop-orders", "pay.example", "external"): (3, 1),
            ("shop-orders", "shop-stock", "messaging"): (3, 0),
            ("shop-orders", "shop-mail", "messaging"): (3, 0),
        }
        rpc = found["shop-front", "shop-orders", "rpc"]
        assert int(rpc["p50_nano"]) == pytest.approx(90 * MILLI, rel=0.011)
        assert all(edge["exemplar_trace_id"] in order.trace_ids for edge in found.values())

    @pytest.mark.parametrize("is_folded", [False, True])
    def test_late_callee(self, stack, services, is_folded):
        """An unknown callee is external until its span arrives, in another request; then it is a service."""
        caller, callee = f"early-{is_folded}", f"late-{is_folded}"
        start = minutes_ago(4)
        asks = services.span(
            *(caller, "ask", start, 20), kind=CLIENT, attributes={"server.address": "late.internal"}
        )
        early = services.take()
        services.span(callee, "answer", start + MILLI, 10, parent=asks)
        export(stack.url, early)
        stack.wait_until_stored()
        if is_folded:
            stack.summarise()
        found = edges(stack.url, caller, callee)
        assert {key: edge["calls"] for key, edge in found.items()} == {
            (caller, "late.internal", "external"): 1
        }
        export(stack.url, services.take())
        stack.wait_until_stored()
        for _ in range(2):
            found = edges(stack.url, caller, callee)
            assert {key: edge["calls"] for key, edge in found.items()} == {
                (caller, callee, "rpc"): 1
            }
            stack.summarise()

    def test_callee_first(self, stack, services):
        """It makes no difference if the callee's span arrives before its caller's."""
        start = minutes_ago(5)
        asks = services.span(
            *("asks-later", "ask", start, 20), kind=CLIENT, attributes={"server.address": "x"}
        )
        early = services.take()
        services.span("answers-first", "answer", start + MILLI, 10, parent=asks)
        export(stack.url, services.take())
        stack.wait_until_stored()
        stack.summarise()
        export(stack.url, early)
        stack.wait_until_stored()
        assert list(edges(stack.url, "asks-later")) == [("asks-later", "answers-first", "rpc")]


class TestOnce:
    def test_same_bytes(self, stack, services):
        """The same request sent again, compressed or not, changes nothing."""
        asks = services.span(
            *("twice", "ask", minutes_ago(7), 20), kind=CLIENT, attributes={"server.address": "y"}
        )
        body = protobuf_of(services.take())
        path = f"/v1/traces/{trace_id_of(asks)}"

        def answers() -> list[Any]:
            return [
                get(stack.url, path),
                statistics(stack.url, "twice")["series"],
                edges(stack.url, "twice"),
            ]

        post(stack.url, body)
        stack.wait_until_stored()
        before = answers()
        assert before[1][0]["total"]["calls"] == 1
        post(stack.url, body)
        stack.wait_until_stored()
        assert answers() == before
        stack.summarise()
        post(stack.url, body)
        stack.wait_until_stored()
        assert answers() == before


def post(url: str, body: bytes, headers: dict[str, str] | None = None) -> Any:
    reply = http(f"{url}/v1/traces", "POST", body, headers or PROTOBUF)
    assert reply.status == 200, reply.body
    return reply


class TestRequests:
    def test_json_requests_are_answered_in_json(self, stack):
        """OTLP/JSON is taken and answered in JSON."""
        start = minutes_ago(8)
        trace_id = "5B8EFFF798038103D269B633813FC60C"
        span = {
            "traceId": trace_id,
            "spanId": "EEE19B7EC3C1B174",
            "name": "from JSON",
            "kind": 2,
            "startTimeUnixNano": str(start),
            "endTimeUnixNano": str(start + MILLI),
            "attributes": [{"key": "n", "value": {"intValue": "7"}}],
            "unknownField": {"is": "ignored"},
        }
        resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "by-json"}}]}
        document = {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [span]}]}]}
        reply = post(stack.url, json.dumps(document).encode(), JSON)
        assert reply.json == {}
        assert reply.headers["content-type"] == "application/json"
        stack.wait_until_stored()
        answer = get(stack.url, f"/v1/traces/{trace_id.lower()}")
        (found,) = answer["resourceSpans"][0]["scopeSpans"][0]["spans"]
        assert (found["name"], found["attributes"]) == ("from JSON", span["attributes"])

    def test_chunked_without_accept(self, stack):
        """A chunked upload without an Accept header is taken, and answered with empty protobuf."""
        body = payload([Made(0xC4A9, 1, "chunked", start=minutes_ago(9))])
        head = (
            "POST /v1/traces HTTP/1.1\r\nHost: clew\r\nContent-Type: application/x-protobuf\r\n"
            "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        )
        middle = len(body) // 2
        chunks = [
            f"{len(part):x}\r\n".encode() + part + b"\r\n"
            for part in (body[:middle], body[middle:])
        ]
        received = raw_request(stack.url, head.encode(), *chunks, b"0\r\n\r\n")
        status, _, rest = received.partition(b"\r\n")
        headers, _, answer = rest.partition(b"\r\n\r\n")
        assert b" 200 " in status
        assert b"content-type: application/x-protobuf" in headers.lower()
        assert answer == b""
        stack.wait_until_stored()
        assert "chunked" in get(stack.url, "/v1/services")["services"]

    def test_partial_success(self, stack):
        """Bad spans are counted and told in a 200; the good ones beside them are stored."""
        request = TracesData.FromString(
            payload([Made(0xBAD0 + n, 1 + n, "partly", start=minutes_ago(9)) for n in range(3)])
        )
        spans = request.resource_spans[0].scope_spans[0].spans
        spans[0].trace_id = bytes(16)
        spans[1].span_id = b"short"
        answer = ExportTraceServiceResponse.FromString(
            post(stack.url, request.SerializeToString()).body
        )
        assert answer.partial_success.rejected_spans == 2
        assert "trace_id" in answer.partial_success.error_message
        assert "span_id" in answer.partial_success.error_message
        stack.wait_until_stored()
        assert statistics(stack.url, "partly")["total"]["calls"] == 1
        assert http(f"{stack.url}/v1/traces/{0xBAD2:032x}").status == 200
        assert http(f"{stack.url}/v1/traces/{0xBAD1:032x}").status == 404

    def test_a_request_without_spans_is_a_success(self, url):
        """A request without spans is a success."""
        assert post(url, b"").body == b""
        assert post(url, b"{}", JSON).json == {}

    @pytest.mark.parametrize(
        ("body", "headers", "status"),
        [
            (b"not protobuf at all", PROTOBUF, 400),
            (b"\x0a\xff\xff", PROTOBUF, 400),
            (b"\x1f\x8bdamaged", {**PROTOBUF, "Content-Encoding": "gzip"}, 400),
            (b"{", JSON, 400),
            (b"[]", JSON, 400),
            (b'{"resourceSpans": 3}', JSON, 400),
            (b"<xml/>", {"Content-Type": "text/xml"}, 415),
            (b"x", {**PROTOBUF, "Content-Encoding": "br"}, 415),
            (b"x" * 4_600_000, PROTOBUF, 413),
        ],
        ids=lambda value: repr(value)[:30],
    )
    def test_garbage_is_refused_for_good_in_the_request_encoding(self, url, body, headers, status):
        """What is no export request is refused for good, with a google.rpc.Status in the request's encoding."""
        reply = http(f"{url}/v1/traces", "POST", body, headers)
        assert reply.status == status
        if headers["Content-Type"] == "application/x-protobuf":
            assert reply.headers["content-type"] == "application/x-protobuf"
            assert reply.body[:2] == b"\x08\x03"
        else:
            assert set(reply.json) == {"code", "message"}

    @pytest.mark.parametrize("signal", ["metrics", "logs"])
    def test_other_signals(self, url, signal):
        """SDKs that send metrics and logs too are told in a 200 that these are not kept."""
        reply = http(f"{url}/v1/{signal}", "POST", b"", PROTOBUF)
        assert reply.status == 200
        assert signal.encode() in reply.body


def raw_request(url: str, *parts: bytes) -> bytes:
    """All that the server answers until it closes."""
    address = urlsplit(url)
    assert address.hostname
    assert address.port
    with socket.create_connection((address.hostname, address.port), timeout=60) as connection:
        for part in parts:
            connection.sendall(part)
        received = b""
        while more := connection.recv(65_536):
            received += more
    return received


STATISTICS = "/v1/services/shop-front/statistics"
WRONG = [
    ("/v1/traces", "limit", "0"),
    ("/v1/traces", "limit", "1001"),
    ("/v1/traces", "limit", "-1"),
    ("/v1/traces", "limit", "1.5"),
    ("/v1/traces", "limit", "ten"),
    ("/v1/traces", "limit", "9" * 30),
    ("/v1/traces", "limit", "٣"),
    ("/v1/traces", "status", "ok"),
    ("/v1/traces", "status", "ERROR"),
    ("/v1/traces", "min_duration", "5"),
    ("/v1/traces", "min_duration", "-5ms"),
    ("/v1/traces", "min_duration", "5 ms"),
    ("/v1/traces", "max_duration", "1ms1"),
    ("/v1/traces", "max_duration", "9" * 40 + "s"),
    ("/v1/traces", "attribute", "novalue"),
    ("/v1/traces", "attribute", "=value"),
    ("/v1/traces", "cursor", "nonsense"),
    ("/v1/traces", "cursor", "A" * 34),
    ("/v1/traces", "cursor", "é"),
    ("/v1/traces", "start", "yesterday"),
    ("/v1/traces", "start", "2026-01-01"),
    ("/v1/traces", "start", "2026-01-01T12:00:00"),
    ("/v1/traces", "end", "-1"),
    ("/v1/traces", "end", "1e9"),
    ("/v1/traces", "end", "99999999999"),
    ("/v1/traces", "service", "s" * 8_193),
    ("/v1/traces", "servce", "typo"),
    ("/v1/traces/" + "ab" * 16, "raw", "1"),
    ("/v1/services", "limit", "3"),
    ("/v1/services/shop-front/span_names", "start", "now"),
    (STATISTICS, "step", "0s"),
    (STATISTICS, "step", "60"),
    (STATISTICS, "step", "m"),
    (STATISTICS, "quantile", "0.5"),
    ("/v1/edges", "start", "0x10"),
    ("/v1/edges", "service", "shop-front"),
]


class TestWrongParameters:
    @pytest.mark.parametrize(
        ("path", "name", "value"), WRONG, ids=lambda value: ascii(value)[:30].replace("/", ".")
    )
    def test_a_wrong_parameter_is_named(self, url, path, name, value):
        """A wrong value, or a parameter that there is not, is a 400 that names the parameter."""
        reply = http(query_url(url, path, (name, value)))
        error = reply.json["error"]
        assert (reply.status, error["parameter"]) == (400, name)
        assert name in error["message"]

    @pytest.mark.parametrize(
        ("path", "pairs", "name"),
        [
            ("/v1/traces", [("limit", "1"), ("limit", "2")], "limit"),
            ("/v1/traces", [("service", "a"), ("service", "b")], "service"),
            ("/v1/traces", [("min_duration", "2s"), ("max_duration", "1s")], "max_duration"),
            ("/v1/traces", [("start", "2000"), ("end", "1000")], "start"),
            ("/v1/edges", [("start", "1000"), ("end", "1000")], "start"),
            ("/v1/traces", [("attribute", f"k{n}=v") for n in range(21)], "attribute"),
        ],
    )
    def test_parameters_that_exclude_each_other_are_named(self, url, path, pairs, name):
        """Values that cannot be together are a 400 that names one of them."""
        reply = http(query_url(url, path, *pairs))
        assert (reply.status, reply.json["error"]["parameter"]) == (400, name)

    def test_too_many_points(self, url):
        """More points than an answer may have are refused by the step's name."""
        parameters = {"start": seconds_text(minutes_ago(2 * 1_440)), "step": "1m"}
        reply = http(query_url(url, STATISTICS, **parameters))
        assert (reply.status, reply.json["error"]["parameter"]) == (400, "step")


class TestHttp:
    @pytest.mark.parametrize(
        "path", ["/nothing", "/v1", "/v1/traces/a/b", "/v1/services/a/nothing"]
    )
    def test_unknown_path(self, url, path):
        """A path that nothing is at is 404, as a JSON error."""
        reply = http(url + path)
        assert (reply.status, reply.json["error"]["code"]) == (404, "not_found")

    def test_wrong_method(self, url):
        """A method that a path does not have is 405, and those that it has are told."""
        reply = http(f"{url}/v1/edges", "DELETE")
        assert (reply.status, reply.headers["allow"]) == (405, "GET, HEAD, OPTIONS")

    @pytest.mark.parametrize("path", ["/v1/traces", "/v1/edges", "/v1/services/a/statistics"])
    def test_another_page_may_send_spans_and_nothing_else(self, url, path):
        """A browser on another page may send spans, and nothing else."""
        headers = {
            "Origin": "https://shop.example",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type,traceparent",
        }
        reply = http(url + path, "OPTIONS", None, headers)
        assert reply.status == 200
        allowed = {name: v for name, v in reply.headers.items() if "access-control" in name}
        if path == "/v1/traces":
            assert allowed["access-control-allow-origin"] == "https://shop.example"
            assert allowed["access-control-allow-headers"] == "content-type,traceparent"
            assert allowed["access-control-allow-methods"] == "POST"
        else:
            assert allowed == {}

    def test_no_other_page_reads(self, url, order):
        """Neither good answers nor bad ones may be read by another page; they are not even made."""
        headers = {"Origin": "https://shop.example"}
        for path in (f"/v1/traces/{order.trace_ids[0]}", "/v1/traces?limit=0"):
            reply = http(url + path, headers=headers)
            assert reply.status == 403
            assert "access-control-allow-origin" not in reply.headers

    def test_large_answers_are_gzipped_for_who_takes_it(self, url, order):
        """A large answer is gzipped for who takes that, and for nobody else."""
        path = f"{url}/v1/traces/{order.trace_ids[0]}"
        plain = http(path)
        zipped = http(path, headers={"Accept": "*/*", "Accept-Encoding": "gzip"})
        assert "content-encoding" not in plain.headers
        assert zipped.headers["content-encoding"] == "gzip"
        assert zipped.headers["vary"].lower() == "accept, accept-encoding"
        assert len(zipped.body) < len(plain.body)
        assert zipped.json == plain.json

    def test_the_page_for_people_is_html(self, url):
        """The page for people is HTML."""
        reply = http(url + "/")
        assert reply.status == 200
        assert reply.headers["content-type"].startswith("text/html")


PATHS = [
    ("/v1/traces", "/v1/traces?service=shop-front", 200),
    ("/v1/traces", "/v1/traces?service=shop-front&limit=1", 200),
    ("/v1/traces", "/v1/traces?limit=0", 400),
    ("/v1/traces/{trace_id}", "/v1/traces/{first}", 200),
    ("/v1/traces/{trace_id}", "/v1/traces/zzz", 400),
    ("/v1/traces/{trace_id}", "/v1/traces/abcd", 404),
    ("/v1/services", "/v1/services", 200),
    ("/v1/services", "/v1/services?start=x", 400),
    ("/v1/services/{service}/span_names", "/v1/services/shop-orders/span_names", 200),
    ("/v1/services/{service}/span_names", "/v1/services/nobody/span_names?end=x", 400),
    ("/v1/services/{service}/attributes", "/v1/services/shop-orders/attributes", 200),
    ("/v1/services/{service}/attributes", "/v1/services/nobody/attributes?end=x", 400),
    ("/v1/services/{service}/statistics", "/v1/services/shop-orders/statistics", 200),
    ("/v1/services/{service}/statistics", "/v1/services/nobody/statistics", 200),
    ("/v1/services/{service}/statistics", "/v1/services/nobody/statistics?step=x", 400),
    ("/v1/edges", "/v1/edges", 200),
    ("/v1/edges", "/v1/edges?start=1000&end=2000", 200),
    ("/v1/edges", "/v1/edges?end=x", 400),
    ("/v1/sampling", "/v1/sampling", 200),
    ("/v1/dead-letters", "/v1/dead-letters?limit=5", 200),
    ("/v1/dead-letters", "/v1/dead-letters?limit=0", 400),
    ("/health", "/health", 200),
]


class TestOpenapi:
    @pytest.mark.parametrize(("route", "path", "status"), PATHS)
    def test_answers_are_as_described(self, url, order, route, path, status):
        """Every JSON answer validates against the document's schema for its route and status."""
        reply = http(url + path.replace("{first}", order.trace_ids[0]))
        assert reply.status == status
        document = get(url, "/openapi.json")
        response = document["paths"][route]["get"]["responses"][str(status)]
        schema = response["content"]["application/json"]["schema"]
        # The whole document beside it: its references begin at the root.
        Draft202012Validator({**schema, "components": document["components"]}).validate(reply.json)
        # Nothing is answered that the document does not name.
        described = resolved(schema, document).get("properties", {})
        assert set(reply.json) <= set(described)

    def test_columns_are_as_described(self, url, order):
        """A trace as columns validates against its schema, and has a row for each span of the trace."""
        accepted = {"Accept": "application/vnd.clew.columns+json", "Accept-Encoding": "gzip"}
        reply = http(f"{url}/v1/traces/{order.trace_ids[0]}?attributes=true", headers=accepted)
        document = get(url, "/openapi.json")
        answer = document["paths"]["/v1/traces/{trace_id}"]["get"]["responses"]["200"]
        schema = answer["content"][reply.headers["content-type"]]["schema"]
        Draft202012Validator({**schema, "components": document["components"]}).validate(reply.json)
        spans = {
            span["spanId"]: span["name"]
            for resource in get(url, f"/v1/traces/{order.trace_ids[0]}")["resourceSpans"]
            for scope in resource["scopeSpans"]
            for span in scope["spans"]
        }
        assert {row.span_id.hex(): row.name for row in rows_in(reply.json)} == spans

    def test_every_route(self, url):
        """Every route that answers JSON is among those checked here."""
        paths = get(url, "/openapi.json")["paths"]
        described = {
            route
            for route, methods in paths.items()
            if "content" in methods.get("get", {}).get("responses", {}).get("200", {})
        }
        assert described == {route for route, _, _ in PATHS}

    def test_every_schema_is_valid(self, url):
        """Every schema of the document is a valid JSON schema."""
        for schema in get(url, "/openapi.json")["components"]["schemas"].values():
            Draft202012Validator.check_schema(schema)


def resolved(schema: dict[str, Any], document: dict[str, Any]) -> Any:
    found: Any = document
    for part in schema["$ref"].removeprefix("#/").split("/"):
        found = found[part]
    return found
