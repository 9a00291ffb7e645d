"""OTLP/gRPC on a port of its own: each Export call becomes a POST to the gateway.

    call ──bytes──▶ Request ──gateway──▶ Answer ──▶ ExportTraceServiceResponse, or a gRPC status

So there is one receive path, one check of tokens and one limit for both protocols. The token is checked before the
message is read: a call is handled as a stream, and its first message is read once its sender may send it. Until then
grpcio holds what HTTP/2's flow control lets through. A message that does not come in time ends its call. grpcio
uncompresses gzip and deflate, up to MESSAGE_BYTES_MAX; it ends a call with another `grpc-encoding` by INTERNAL before
this module sees it. Clew keeps traces only. Metrics and logs are answered as by OTLP/HTTP, so that a program that
sends all three signals logs no error at each export.
Source: opentelemetry-proto, docs/specification.md, "OTLP/gRPC"; google.rpc.Code, RetryInfo.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import unquote

import grpc
from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

from local.gateway import BODY_BYTES_MAX, Answer, Request
from local.server import PortTaken, listening_socket
from local.turns import Kind, Turns, Work

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

THREADS = 16
"""The most calls that are received at once; further calls wait in their connections."""
RECEIVE_SECONDS_MAX = 20.0
"""The longest time from a call's start to the end of its message."""
CONTESTED_SECONDS_MAX = 2.0
"""The longest such time while no thread is free."""
_LOOK_SECONDS = 0.25
MESSAGE_BYTES_MAX = BODY_BYTES_MAX
"""The largest uncompressed message. The receive path's own limit is lower, so the usual answer refuses it."""
STREAMS_MAX = 32
"""Calls of one connection at once: exporters make one, a Collector ten."""
METADATA_BYTES_MAX = 16 * 1024
EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
_PATHS = {
    EXPORT: "/v1/traces",
    "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export": "/v1/metrics",
    "/opentelemetry.proto.collector.logs.v1.LogsService/Export": "/v1/logs",
}
"""gRPC method → path of the same request by OTLP/HTTP."""
_PROTOBUF = "application/x-protobuf"
_TOKEN_HEADERS = ("authorization", "x-api-key")
_STATUS_METADATA = "grpc-status-details-bin"
_RETRY_INFO_METADATA = "google.rpc.retryinfo-bin"
"""The trailing metadata that OpenTelemetry's Python exporter reads; other exporters read the status."""
_CODES: dict[int, grpc.StatusCode] = {
    HTTPStatus.BAD_REQUEST: grpc.StatusCode.INVALID_ARGUMENT,
    HTTPStatus.UNAUTHORIZED: grpc.StatusCode.UNAUTHENTICATED,
    HTTPStatus.FORBIDDEN: grpc.StatusCode.PERMISSION_DENIED,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: grpc.StatusCode.RESOURCE_EXHAUSTED,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: grpc.StatusCode.INVALID_ARGUMENT,
}
"""HTTP status → gRPC code; any other status is UNAVAILABLE, after which exporters keep their spans."""


class OtlpGrpc:
    """A gRPC server: `bind` takes its ports, then `start` and `stop` are called once each."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, "otlp/grpc")
        self._stopping = threading.Event()
        options = [
            ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
            # Else a second Clew would share the port with the first, and get half of its spans.
            ("grpc.so_reuseport", 0),
            ("grpc.max_concurrent_streams", STREAMS_MAX),
            ("grpc.max_metadata_size", METADATA_BYTES_MAX),
            ("grpc.server_handshake_timeout_ms", 10_000),
            ("grpc.max_connection_idle_ms", 300_000),
        ]
        self._server = grpc.server(self._threads, options=options)

    def bind(self, host: str, port: int) -> int:
        """Listen at this address too and return the port; port 0 means a free one.

        Raises PortTaken, or OSError for any other reason.
        """
        # grpcio does not say why it cannot bind, and writes to standard error.
        with listening_socket(host, port) as tried:
            port = tried.getsockname()[1]
        try:
            return self._server.add_insecure_port(
                f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
            )
        except RuntimeError as error:
            raise PortTaken(f"port {port} of {host} is taken by another process") from error

    def start(
        self,
        answer: Callable[[Request, Callable[[], bool]], Answer],
        refusal: Callable[[Request], Answer | None] = lambda _: None,
        turns: Turns | None = None,
    ) -> None:
        """Start to take calls; `answer` and `refusal` are methods of a Gateway."""
        services = _Services(answer, refusal, turns or Turns())
        self._server.add_generic_rpc_handlers([services])
        self._server.start()
        self._look = threading.Thread(target=self._end_slow_calls, args=(services,), daemon=True)
        self._look.start()

    def stop(self, timeout_seconds: float) -> None:
        """Take no more calls, finish the running ones, and close."""
        self._server.stop(timeout_seconds).wait()
        self._stopping.set()
        self._look.join()
        self._threads.shutdown()

    def _end_slow_calls(self, services: _Services) -> None:
        while not self._stopping.wait(_LOOK_SECONDS):
            services.end_slow_calls()


class _Services(grpc.GenericRpcHandler):
    """Handlers for the methods. Messages stay bytes: without a serializer grpcio hands them on as they are."""

    def __init__(
        self,
        answer: Callable[[Request, Callable[[], bool]], Answer],
        refusal: Callable[[Request], Answer | None],
        turns: Turns,
    ) -> None:
        self._answer = answer
        self._refusal = refusal
        self._turns = turns
        self._receiving: dict[grpc.ServicerContext, float] = {}
        self._lock = threading.Lock()

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler[bytes, bytes] | None:
        path = _PATHS.get(handler_call_details.method)
        if path is None:
            return None
        return grpc.stream_unary_rpc_method_handler(partial(self._export, path))

    def end_slow_calls(self) -> None:
        """End calls whose message does not come, by CANCELLED: an exporter then sends again."""
        now = time.monotonic()
        with self._lock:
            most = RECEIVE_SECONDS_MAX if len(self._receiving) < THREADS else CONTESTED_SECONDS_MAX
            slow = [context for context, since in self._receiving.items() if now - since > most]
        for context in slow:
            context.cancel()

    @contextmanager
    def _is_receiving(self, context: grpc.ServicerContext) -> Iterator[None]:
        with self._lock:
            self._receiving[context] = time.monotonic()
        try:
            yield
        finally:
            with self._lock:
                del self._receiving[context]

    def _export(self, path: str, messages: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
        if refused := self._refusal(_request(path, b"", context)):
            return _refused(refused, context)
        with self._is_receiving(context):
            body = next(messages, None)
        if body is None:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the call has no message")
        work = Work(self._turns, Kind.SEND)
        work.begin()
        try:
            answer = self._answer(_request(path, body, context), work.go_on)
        finally:
            work.end()
        return answer.body if answer.status == HTTPStatus.OK else _refused(answer, context)


def _refused(answer: Answer, context: grpc.ServicerContext) -> bytes:
    """Give the call the gRPC status of an answer other than 200."""
    status = status_from_answer(answer)
    retry_infos = [(_RETRY_INFO_METADATA, detail.value) for detail in status.details]
    context.set_trailing_metadata(((_STATUS_METADATA, status.SerializeToString()), *retry_infos))
    context.set_code(_code_of(answer))
    context.set_details(status.message)
    return b""


def _request(path: str, body: bytes, context: grpc.ServicerContext) -> Request:
    """Return the same request as it would come by OTLP/HTTP."""
    tokens = {
        name: value
        for name, value in context.invocation_metadata()
        if name in _TOKEN_HEADERS and isinstance(value, str)
    }
    headers = {"Content-Type": _PROTOBUF, "Accept": _PROTOBUF, **tokens}
    _, _, address = unquote(context.peer()).partition(":")
    source_ip = address.rpartition(":")[0].strip("[]")
    return Request("POST", path, "", headers, body, source_ip)


def status_from_answer(answer: Answer) -> Status:
    """Return the google.rpc.Status of an answer other than 200, with a RetryInfo if it is UNAVAILABLE."""
    code = _code_of(answer)
    status = Status(code=code.value[0], message=_message_of(answer))
    if code is grpc.StatusCode.UNAVAILABLE:
        retry = RetryInfo()
        headers = {name.lower(): value for name, value in answer.headers}
        retry.retry_delay.seconds = int(headers.get("retry-after", 1))
        status.details.add().Pack(retry)
    return status


def _code_of(answer: Answer) -> grpc.StatusCode:
    return _CODES.get(answer.status, grpc.StatusCode.UNAVAILABLE)


def _message_of(answer: Answer) -> str:
    """Return the message of the receive path; the HTTP status if the gateway itself answered, in JSON."""
    try:
        return str(Status.FromString(answer.body).message)
    except DecodeError:
        return HTTPStatus(answer.status).phrase
