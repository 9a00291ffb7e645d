"""OTLP/HTTP's endpoints: what each route does with its request."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from chalicelib.otlp.endpoint import receive_traces, refuse_signal, unavailable
from chalicelib.otlp.endpoint import refuse as refuse_request
from chalicelib.receive.pieces import within
from chalicelib.receive.tell import tell_redacted, tell_rejected

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.http.answer import Answer
    from chalicelib.http.errors import Failure
    from chalicelib.http.request import Request
    from chalicelib.model.token import Scope

_logger = logging.getLogger(__name__)


def post_traces(request: Request) -> Answer:
    """Accept an ExportTraceServiceRequest."""
    return _received(
        request,
        lambda: receive_traces(
            request.headers,
            request.body,
            int(time.time()),
            lambda messages: request.backend.sender().send(messages),
            tell_rejected,
            tell_redacted,
        ),
    )


def post_metrics(request: Request) -> Answer:
    """Answer an ExportMetricsServiceRequest, of which nothing is stored."""
    return _received(request, lambda: refuse_signal(request.headers, request.body, "metrics"))


def post_logs(request: Request) -> Answer:
    """Answer an ExportLogsServiceRequest, of which nothing is stored."""
    return _received(request, lambda: refuse_signal(request.headers, request.body, "logs"))


def _received(request: Request, receive: Callable[[], Answer]) -> Answer:
    """What `receive` answers; any unexpected exception becomes a 503: OTLP's exporters drop their data on a 500."""
    try:
        with within(request.time_left):
            return receive()
    except Exception:
        _logger.exception("spans not accepted")
        return unavailable(request.headers, request.body)


def refuse(request: Request, scope: Scope, failure: Failure) -> Answer:
    """A google.rpc.Status in the encoding of the request."""
    del scope
    return refuse_request(request.headers, request.body, failure.status, failure.message)
