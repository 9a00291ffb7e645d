"""OTLP/gRPC: what OpenTelemetry's own exporter sends is stored as by HTTP; what is wrong is said in gRPC's words."""

from __future__ import annotations

import gzip
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
import pytest
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.trace.export import SpanExportResult

from chalicelib import config, wiring
from chalicelib.errors import StoreThrottled
from chalicelib.model.token import Scope
from infra.tokens import make_token
from local import otlp_grpc as otlp_grpc_module
from local.gateway import Answer
from local.otlp_grpc import EXPORT, MESSAGE_BYTES_MAX, OtlpGrpc, status_from_answer
from local.server import PortTaken
from local.stack import LaptopStack
from tests.e2e.shop import (
    CLIENT,
    SHOP,
    Services,
    get,
    http,
    make_orders,
    minutes_ago,
    protobuf_of,
    seconds_text,
    trace_id_of,
)
from tests.payloads import Made, payload

SECRET = "only-those-who-know-this"
READER = "a-token-for-reading-alone"
PROTOBUF = {"Content-Type": "application/x-protobuf"}
WHOLE = payload([Made(trace=1, span=1), Made(trace=1, span=2, parent=1, attributes=(("n", 1),))])
PACKAGE = "/opentelemetry.proto.collector"


class Away:
    """A MessageSender whose queue cannot be had: ever, or the first time."""

    def __init__(self, then=None):
        self._then = then
        self.refused = 0

    def send(self, messages):
        if self._then and self.refused:
            self._then.send(messages)
            return
        self.refused += 1
        raise StoreThrottled(f"no queue for {len(messages)} messages")


@contextmanager
def running(**settings):
    """A whole Clew and the address of its gRPC."""
    otlp_grpc = OtlpGrpc()
    address = f"127.0.0.1:{otlp_grpc.bind('127.0.0.1', 0)}"
    with LaptopStack(
        otlp_grpc=otlp_grpc, batch_window_seconds=0.05, run_schedules=False, **settings
    ) as stack:
        yield stack, address


@pytest.fixture(scope="class")
def stack_and_address():
    with running() as started:
        yield started


@pytest.fixture(scope="class")
def stack(stack_and_address):
    return stack_and_address[0]


@pytest.fixture(scope="class")
def address(stack_and_address):
    return stack_and_address[1]


def call(address, body, method=EXPORT, metadata=(), compression=None):
    """A call as any client makes it; raises grpc.RpcError."""
    options = [("grpc.max_send_message_length", -1)]
    with grpc.insecure_channel(address, options) as channel:
        return channel.unary_unary(method)(
            body, timeout=30, metadata=metadata, compression=compression
        )


def metadata_of(error) -> dict[str, Any]:
    return dict(error.trailing_metadata())


def refused(address, body, **options):
    """The status of a call that must fail, after checking that gRPC's own says the same."""
    with pytest.raises(grpc.RpcError) as raised:
        call(address, body, **options)
    error = raised.value
    metadata = metadata_of(error)
    if "grpc-status-details-bin" in metadata:
        status = Status.FromString(metadata["grpc-status-details-bin"])
        assert (status.code, status.message) == (error.code().value[0], error.details())
        for detail in status.details:
            assert metadata["google.rpc.retryinfo-bin"] == detail.value
        assert bool(status.details) == ("google.rpc.retryinfo-bin" in metadata)
    return error


def export(address, spans, **options):
    exporter = OTLPSpanExporter(f"http://{address}", timeout=10, **options)
    try:
        return exporter.export(spans)
    finally:
        exporter.shutdown()


class TestStored:
    @pytest.mark.parametrize("compression", list(grpc.Compression))
    def test_the_stock_exporter_is_stored_however_it_compresses(self, stack, address, compression):
        """The stock exporter's spans are found, however it compresses them."""
        services = Services()
        span = services.span(f"grpc-{compression.name}", "ask", minutes_ago(1), kind=CLIENT)
        assert export(address, services.take(), compression=compression) is SpanExportResult.SUCCESS
        stack.wait_until_stored()
        (trace,) = get(stack.url, "/v1/traces", service=f"grpc-{compression.name}")["traces"]
        assert trace["trace_id"] == trace_id_of(span)

    def test_an_empty_request_succeeds_with_an_empty_answer(self, address):
        """An empty request succeeds with an empty answer."""
        assert call(address, b"") == b""

    def test_partial_success(self, stack, address):
        """A bad span is rejected with its reason, and its neighbour is stored."""
        good = Made(trace=7001, span=1, service="grpc-partial", start=minutes_ago(1))
        answer = ExportTraceServiceResponse.FromString(
            call(address, payload([good, good._replace(trace=0)]))
        )
        assert answer.partial_success.rejected_spans == 1
        assert "trace_id" in answer.partial_success.error_message
        stack.wait_until_stored()
        (trace,) = get(stack.url, "/v1/traces", service="grpc-partial")["traces"]
        assert trace["span_count"] == 1


class TestRefused:
    @pytest.mark.parametrize(
        "body",
        [b"garbage", b"{}", b"\x0a\xff\xff\xff\xff\xff", gzip.compress(b"x" * 99, mtime=0)[:-9]],
    )
    def test_bad_body(self, stack, address, body):
        """What is no request is INVALID_ARGUMENT, in the same words as by HTTP, and not to be sent again."""
        error = refused(address, body)
        by_http = http(stack.url + "/v1/traces", "POST", body, PROTOBUF)
        assert by_http.status == 400
        assert error.details() == Status.FromString(by_http.body).message
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert "google.rpc.retryinfo-bin" not in metadata_of(error)

    @settings(max_examples=50, phases=[Phase.explicit, Phase.reuse, Phase.generate], deadline=None)
    @given(
        place=st.integers(0, len(WHOLE) - 1),
        cut=st.integers(0, 8),
        put=st.binary(max_size=8),
    )
    def test_damaged_requests_are_refused_in_the_words_of_http(
        self, stack, address, place, cut, put
    ):
        """Whatever is damaged, both protocols come to the same verdict, in the same words."""
        body = WHOLE[:place] + put + WHOLE[place + cut :]
        by_http = http(stack.url + "/v1/traces", "POST", body, PROTOBUF)
        if by_http.status == 200:
            assert call(address, body) == by_http.body
        else:
            assert refused(address, body).details() == Status.FromString(by_http.body).message

    @pytest.mark.parametrize("compression", [None, grpc.Compression.Gzip])
    @pytest.mark.parametrize("body_bytes", [config.BODY_BYTES_MAX + 1, 4 * MESSAGE_BYTES_MAX])
    def test_too_large(self, address, body_bytes, compression):
        """What is too large, uncompressed, is RESOURCE_EXHAUSTED without a RetryInfo: never to be sent again."""
        error = refused(address, bytes(body_bytes), compression=compression)
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "google.rpc.retryinfo-bin" not in metadata_of(error)

    @pytest.mark.parametrize(
        ("signal", "answer"),
        [("metrics", ExportMetricsServiceResponse), ("logs", ExportLogsServiceResponse)],
    )
    def test_other_signals(self, address, signal, answer):
        """Metrics and logs are answered as by HTTP: OK, with the note that they were not stored."""
        method = f"{PACKAGE}.{signal}.v1.{signal.title()}Service/Export"
        note = answer.FromString(call(address, b"", method=method)).partial_success.error_message
        assert signal in note
        assert "not stored" in note

    def test_unknown_method(self, address):
        """Anything else is UNIMPLEMENTED too."""
        error = refused(address, b"", method=f"{PACKAGE}.trace.v1.TraceService/Import")
        assert error.code() is grpc.StatusCode.UNIMPLEMENTED

    @pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
    def test_other_faults_are_unavailable_with_retry_info(self, status):
        """Whatever else goes wrong is UNAVAILABLE with a RetryInfo: the sender keeps its spans."""
        found = status_from_answer(Answer(status, [], b'{"message": "Internal server error"}'))
        assert found.code == grpc.StatusCode.UNAVAILABLE.value[0]
        retry = RetryInfo()
        assert found.details[0].Unpack(retry)
        assert retry.retry_delay.seconds > 0


class TestOwnStack:
    def test_same_as_http(self):
        """The same requests by gRPC and by HTTP leave the same answers; by both, they count once."""
        order, batches = make_orders()
        bodies = [protobuf_of(spans) for spans in batches]
        starts, ends = seconds_text(minutes_ago(60)), seconds_text(minutes_ago(0))

        def answers(stack):
            stack.wait_until_stored()
            asked = {"start": starts, "end": ends}
            return [
                *(get(stack.url, f"/v1/traces/{trace_id}") for trace_id in order.trace_ids),
                *(get(stack.url, f"/v1/services/{each}/statistics", **asked) for each in SHOP),
                get(stack.url, "/v1/edges", **asked),
            ]

        def send_by_http(stack):
            for body in bodies:
                assert http(stack.url + "/v1/traces", "POST", body, PROTOBUF).status == 200

        with running() as (stack, address):
            for body in bodies:
                call(address, body, compression=grpc.Compression.Gzip)
            by_grpc = answers(stack)
            send_by_http(stack)
            by_both = answers(stack)
        with running() as (stack, _):
            send_by_http(stack)
            by_http = answers(stack)
        assert by_grpc == by_http == by_both
        assert by_http[-1]["edges"]

    def test_queue_away(self, caplog):
        """Without a queue it is UNAVAILABLE, with the time to wait."""
        with running() as (_, address):
            wiring.replace_sender(Away())
            error = refused(address, payload([Made(trace=1, span=1)]))
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        retry = RetryInfo.FromString(metadata_of(error)["google.rpc.retryinfo-bin"])
        assert retry.retry_delay.seconds == config.RETRY_AFTER_SECONDS
        assert "spans not accepted" in caplog.text

    def test_queue_comes_back(self, caplog, monkeypatch):
        """The stock exporter sends again after the time that it was told, and its spans are stored."""
        monkeypatch.setattr(config, "RETRY_AFTER_SECONDS", 0)
        services = Services()
        services.span("grpc-again", "ask", minutes_ago(1))
        with running() as (stack, address):
            away = Away(wiring.sender())
            wiring.replace_sender(away)
            assert export(address, services.take()) is SpanExportResult.SUCCESS
            stack.wait_until_stored()
            assert get(stack.url, "/v1/services")["services"] == ["grpc-again"]
        assert away.refused == 1
        assert "retrying in 0.00s" in caplog.text


class TestAccess:
    @pytest.fixture(scope="class")
    @classmethod
    def closed(cls):
        with pytest.MonkeyPatch.context() as patch, running(token=SECRET) as (stack, address):
            patch.setattr(config, "ACCESS_OPEN", False)
            make_token(wiring.store(), [Scope.READ], "reader", READER)
            yield stack, address

    @pytest.mark.parametrize("metadata", [(), (("x-api-key", "another"),)])
    def test_a_stranger_is_unauthenticated(self, closed, metadata):
        """Without a token that is known it is UNAUTHENTICATED."""
        for method in (EXPORT, f"{PACKAGE}.metrics.v1.MetricsService/Export"):
            error = refused(closed[1], b"", metadata=metadata, method=method)
            assert error.code() is grpc.StatusCode.UNAUTHENTICATED
            assert "token" in error.details()

    @pytest.mark.parametrize(
        "headers", [{"x-api-key": SECRET}, {"authorization": f"Bearer {SECRET}"}]
    )
    def test_the_exporter_token_is_read_from_metadata(self, closed, headers):
        """The stock exporter shows its token as metadata."""
        services = Services()
        services.span("grpc-token", "ask", minutes_ago(1))
        assert export(closed[1], services.take(), headers=headers) is SpanExportResult.SUCCESS

    def test_other_scope(self, closed):
        """A token for reading alone is PERMISSION_DENIED."""
        error = refused(closed[1], b"", metadata=(("x-api-key", READER),))
        assert error.code() is grpc.StatusCode.PERMISSION_DENIED


class TestPorts:
    def test_a_taken_port_is_said_to_be_taken(self):
        """A port that somebody listens on, another Clew too, is said to be taken."""
        with socket.create_server(("127.0.0.1", 0)) as listening:
            port = listening.getsockname()[1]
            with pytest.raises(PortTaken, match=f"port {port} of 127"):
                OtlpGrpc().bind("127.0.0.1", port)
        first = OtlpGrpc()
        port = first.bind("127.0.0.1", 0)
        first.start(lambda *_: Answer(200, [], b""))
        with pytest.raises(PortTaken):
            OtlpGrpc().bind("127.0.0.1", port)
        first.stop(1)


def is_listening(address):
    host, _, port = address.rpartition(":")
    with socket.socket() as client:
        return client.connect_ex((host, int(port))) == 0


class TestStop:
    def test_calls_are_finished(self):
        """A call that runs when it stops is answered; a later one is not taken."""
        called, goes_on = threading.Event(), threading.Event()

        def answer(*_):
            called.set()
            goes_on.wait(30)
            return Answer(200, [], b"done")

        otlp_grpc = OtlpGrpc()
        address = f"127.0.0.1:{otlp_grpc.bind('127.0.0.1', 0)}"
        otlp_grpc.start(answer)
        with ThreadPoolExecutor() as pool:
            first = pool.submit(call, address, b"")
            assert called.wait(30)
            stopped = pool.submit(otlp_grpc.stop, 30)
            while is_listening(address):
                assert not stopped.done()
            goes_on.set()
            assert first.result(30) == b"done"
            stopped.result(30)
        error = refused(address, b"")
        assert error.code() is grpc.StatusCode.UNAVAILABLE

    def test_idle_connection(self):
        """Clients that keep their connections do not hold it up."""
        otlp_grpc = OtlpGrpc()
        port = otlp_grpc.bind("127.0.0.1", 0)
        otlp_grpc.start(lambda *_: Answer(200, [], b"done"))
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            ask: Any = channel.unary_unary(EXPORT)
            assert ask(b"", timeout=30) == b"done"
            began = time.monotonic()
            otlp_grpc.stop(30)
            # Held up, it would take all of the 30 s.
            assert time.monotonic() - began < 20


class TestBounds:
    """What a stranger, or a sender that sends nothing, can take from others."""

    @staticmethod
    def silent(channel, ends, metadata=()):
        """A call whose message never comes."""

        def nothing():
            ends.wait(60)
            yield from ()

        return channel.stream_unary(EXPORT).future(nothing(), timeout=30, metadata=metadata)

    def test_token_before_message(self, monkeypatch):
        """Who shows no token is told so before a byte of the message has come."""
        ends = threading.Event()
        monkeypatch.setattr(config, "ACCESS_OPEN", False)
        with running(token=SECRET) as (_, address), grpc.insecure_channel(address) as channel:
            refused = self.silent(channel, ends)
            assert refused.exception().code() is grpc.StatusCode.UNAUTHENTICATED
            ends.set()

    def test_silent_calls(self, monkeypatch):
        """Calls that hold every thread and send nothing are ended, to be sent again; a good one waits no longer."""
        monkeypatch.setattr(otlp_grpc_module, "CONTESTED_SECONDS_MAX", 0.0)
        ends = threading.Event()
        with running() as (_, address), grpc.insecure_channel(address) as channel:
            calls = [self.silent(channel, ends) for _ in range(otlp_grpc_module.THREADS)]
            assert ExportTraceServiceResponse.FromString(call(address, WHOLE)) is not None
            codes = {each.exception().code() for each in calls}
            assert codes == {grpc.StatusCode.CANCELLED}
            ends.set()
