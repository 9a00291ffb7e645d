"""What a sender may meet: a queue in trouble, its own mistakes. What is good is stored once; what is bad is said."""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from app import app
from chalicelib import config
from chalicelib.model.clew_pb2 import StatisticsTarget
from local.functions import context_of
from tests.faults.injector import ALL, Died, Fault, refused
from tests.faults.world import SECOND, World
from tests.payloads import Made, payload, trace_id

FOR_QUEUES = [fault for fault in ALL if fault.can_happen_at("SendMessageBatch")]

pytestmark = pytest.mark.slow


_NO_SECRET = str.maketrans("0123456789abcdef", "!#$%()*+,-./;<>?")


def noise(number: int, size: int) -> str:
    """Text that compresses to about half, and of which it is soon seen that it holds no secret."""
    digests = (hashlib.sha256(f"{number} {i}".encode()).hexdigest() for i in range(size // 64 + 1))
    return "".join(digests)[:size].translate(_NO_SECRET)


def large_request(world: World) -> bytes:
    """Three traces of 900 KB each: a message each, and several calls to SQS."""
    return payload(
        Made(
            trace,
            10 * trace + i,
            start=world.now * SECOND,
            attributes=(("n", noise(10 * trace + i, 300_000)),),
        )
        for trace in (1, 2, 3)
        for i in range(3)
    )


def stored(world: World) -> dict[int, int]:
    """Trace → spans, once everything is consumed; each is counted once."""
    world.settle()
    spans = {number: len(of_trace) for number, of_trace in world.outcome().spans.items()}
    assert counted(world) == sum(spans.values())
    return spans


def counted(world: World) -> int:
    """Calls, over all services, as the statistics have them."""
    return sum(
        series.measure.calls
        for (partition, sort), value in world.outcome().targets.items()
        if partition.startswith("s|") and sort.startswith("m|")
        for series in StatisticsTarget.FromString(value).total.series
    )


class TestQueueInTrouble:
    @pytest.mark.parametrize(
        "code", ["ThrottlingException", "InternalError", "AWS.SimpleQueueService.X"]
    )
    def test_a_refusing_queue_is_a_503_with_retry_after(self, world, code):
        """A queue that refuses is a 503 with Retry-After, and nothing is queued."""
        with world.injector.happening(Fault("refused", refused(code, 503)), 0):
            status, _ = world.send(world.requests[0])
        assert status == 503
        assert world.outcome().left["messages"] == 0

    @pytest.mark.parametrize("fault", FOR_QUEUES, ids=lambda fault: fault.name)
    def test_large_request(self, world, fault):
        """Of a request that takes several messages, whatever is accepted twice in the end counts once."""
        body = large_request(world)
        with world.injector.happening(None, 0):
            world.send_until_acknowledged(body)
        calls = len(world.injector.operations)
        assert calls > 1
        for at in range(calls):
            world.clear()
            with world.injector.happening(fault, at):
                try:
                    status, _ = world.send(body)
                    assert status == 503 or fault.name == "half failed"
                except Died:
                    pass
            world.send_until_acknowledged(body)
            assert stored(world) == {1: 3, 2: 3, 3: 3}

    def test_answer_lost(self, world):
        """A client that never got its 200 sends the same bytes again, and it counts once."""
        for _ in range(3):
            assert world.send(world.requests[0])[0] == 200
        assert stored(world) == {1: 2}

    def test_gzip_is_the_same_request(self, world):
        """Compressed otherwise on the second try, it is still the same request."""
        world.send(world.requests[0])
        for level in (1, 9):
            body = gzip.compress(world.requests[0], level)
            assert world.send(body, {"Content-Encoding": "gzip"})[0] == 200
        assert stored(world) == {1: 2}


class TestSizes:
    def test_large_trace(self, world):
        """A trace far above an item's 400 KB is stored in several, and read whole."""
        made = [
            Made(1, i, start=world.now * SECOND, attributes=(("n", noise(i, 40_000)),))
            for i in range(1, 60)
        ]
        world.send_until_acknowledged(payload(made))
        assert stored(world) == {1: 59}

    def test_large_span(self, world):
        """A span above the limit is rejected with its reason; its neighbours are stored."""
        made = [
            Made(1, 1, start=world.now * SECOND),
            Made(1, 2, attributes=(("n", noise(1, config.SPAN_BYTES_MAX)),)),
        ]
        status, answer = world.send(payload(made))
        rejected = ExportTraceServiceResponse.FromString(answer).partial_success
        assert (status, rejected.rejected_spans) == (200, 1)
        assert "bytes" in rejected.error_message
        assert stored(world) == {1: 1}

    def test_many_spans(self, world):
        """A request of 5,000 spans of one trace is stored and counted."""
        made = [Made(1, i, start=world.now * SECOND, service=f"s{i % 7}") for i in range(1, 5_001)]
        world.send_until_acknowledged(payload(made))
        assert stored(world) == {1: 5_000}


class TestCompression:
    @pytest.mark.parametrize(
        "spoil",
        [
            lambda body: gzip.compress(body)[:-5],
            lambda body: gzip.compress(body) + b"x",
            lambda body: b"\x1f\x8b" + body,
            lambda body: gzip.compress(bytes(config.UNCOMPRESSED_BYTES_MAX + 1)),
        ],
        ids=["cut", "trailing", "no gzip", "bomb"],
    )
    def test_a_damaged_body_is_refused_and_nothing_is_stored(self, world, spoil):
        """A damaged or monstrous body is refused for good, and nothing is stored."""
        status, _ = world.send(spoil(world.requests[0]), {"Content-Encoding": "gzip"})
        assert status in (400, 413)
        assert stored(world) == {}

    @pytest.mark.parametrize(
        ("encode", "headers"),
        [
            (lambda body: body, {"Content-Encoding": "gzip"}),
            (gzip.compress, {}),
            (gzip.compress, {"Content-Encoding": "gzip"}),
            (
                lambda body: gzip.compress(body[:40]) + gzip.compress(body[40:]),
                {"Content-Encoding": "gzip"},
            ),
            (zlib.compress, {"Content-Encoding": "deflate"}),
        ],
        ids=["unpacked before", "not said", "said", "two members", "deflate"],
    )
    def test_whatever_the_gateway_did(self, world, encode, headers):
        """Whether the gateway unpacked the body or not, what is stored is the spans."""
        assert world.send(encode(world.requests[0]), headers)[0] == 200
        assert stored(world) == {1: 2}

    def test_what_go_sends(self, world):
        """Go's exporter sends no Accept header, and gets the empty protobuf that says all is well."""
        assert world.send(world.requests[0]) == (200, b"")


class TestBadSpans:
    @pytest.mark.parametrize(
        "bad",
        [
            {"trace_id": bytes(16)},
            {"trace_id": b"short"},
            {"span_id": bytes(8)},
            {"span_id": b"x" * 9},
            {"parent_span_id": b"x"},
        ],
        ids=str,
    )
    def test_a_span_with_a_bad_id_is_rejected_and_counted(self, world, bad):
        """A span with an id that is none is rejected and counted; the rest is stored."""
        data = TracesData.FromString(payload([Made(1, 1, start=world.now * SECOND), Made(1, 2)]))
        for name, value in bad.items():
            setattr(data.resource_spans[0].scope_spans[0].spans[1], name, value)
        status, answer = world.send(data.SerializeToString())
        rejected = ExportTraceServiceResponse.FromString(answer).partial_success
        assert (status, rejected.rejected_spans) == (200, 1)
        assert stored(world) == {1: 1}

    def test_circular_and_duplicate_spans_are_stored_and_answered(self, world):
        """Spans that are their own or each other's parents, and two of one id, are stored; the trace is answered."""
        at = world.now * SECOND
        made = [
            Made(1, 1, parent=1, start=at),
            Made(1, 2, parent=3, start=at),
            Made(1, 3, parent=2, start=at),
        ]
        world.send_until_acknowledged(payload([*made, made[0]._replace(name="other")]))
        assert stored(world) == {1: 4}
        assert world.get("/v1/traces/{trace_id}", trace_id(1).hex())["resourceSpans"]

    @pytest.mark.parametrize(
        ("start", "duration"),
        [(0, 1), (2**63 - 1, 2**62), (2**64 - 1, 0), (86_400 * SECOND * 365, 10**18)],
        ids=["1970", "2262", "the last", "32 years"],
    )
    def test_spans_of_any_clock_are_stored_and_counted(self, world, start, duration):
        """Whatever its clock says, a span is stored, and counted in the minute it names."""
        world.send_until_acknowledged(payload([Made(1, 1, start=start, duration=duration)]))
        assert stored(world) == {1: 1}

    def test_ends_before_it_starts(self, world):
        """A span that ends before it starts has a duration of nothing."""
        data = TracesData.FromString(payload([Made(1, 1, start=world.now * SECOND)]))
        data.resource_spans[0].scope_spans[0].spans[0].end_time_unix_nano = 1
        world.send_until_acknowledged(data.SerializeToString())
        assert stored(world) == {1: 1}

    def test_invalid_utf_8(self, world):
        """Text that is no UTF-8 rejects its span alone, or the request where it cannot be told whose it is."""
        good = payload(
            [Made(1, 1, name="good", start=world.now * SECOND), Made(1, 2, name="\x7f" * 9)]
        )
        status, answer = world.send(good.replace(b"\x7f" * 9, b"\xff" * 9))
        assert status in (200, 400), answer
        assert stored(world) == ({1: 1} if status == 200 else {})

    def test_lone_surrogates(self, world):
        """A span whose JSON holds half a character is stored, as its neighbours are; never a 500."""
        spans = [
            {"traceId": trace_id(1).hex(), "spanId": "00" * 7 + "01", "name": "\ud800"},
            {"traceId": trace_id(1).hex(), "spanId": "00" * 7 + "02", "name": "whole"},
        ]
        body = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}).encode()
        status, _ = world.send(body, {"Content-Type": "application/json"})
        assert status == 200
        assert stored(world) == {1: 2}

    @pytest.mark.parametrize(
        "body",
        [
            b'{"resourceSpans":' + b"[" * 100_000,
            b"\x0a\x00" * 200_000,
            b"\x0a\x02\x12\x00" * 100_000,
        ],
        ids=["deep", "empty resources", "empty scopes"],
    )
    def test_costly_nothings(self, world, body):
        """What is large and holds nothing is refused."""
        kind = "application/json" if body.startswith(b"{") else "application/x-protobuf"
        assert world.send(body, {"Content-Type": kind})[0] in (400, 413)
        assert stored(world) == {}


def test_chunked_and_bare(world):
    """An event without headers, as some test tools send, is an answer and no exception."""
    event = {
        "resource": "/v1/traces",
        "httpMethod": "POST",
        "headers": None,
        "multiValueHeaders": None,
        "multiValueQueryStringParameters": None,
        "pathParameters": None,
        "stageVariables": None,
        "requestContext": {"resourcePath": "/v1/traces", "httpMethod": "POST", "path": "/"},
        "body": None,
        "isBase64Encoded": False,
    }
    assert app(event, context_of("api_handler"))["statusCode"] in (200, 400, 415)
