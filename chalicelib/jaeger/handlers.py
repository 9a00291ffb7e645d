"""Where Jaeger's clients send spans and ask what to sample: what each route does with its request."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from chalicelib.errors import StoreError
from chalicelib.http.text import text
from chalicelib.model.token import Scope

if TYPE_CHECKING:
    from chalicelib.http.answer import Answer
    from chalicelib.http.errors import Failure
    from chalicelib.http.request import Request

_logger = logging.getLogger(__name__)

THRIFT_TYPES = ("application/x-thrift", "application/vnd.apache.thrift.binary")
"""The media types of a Batch in Thrift's binary protocol."""


def post_traces(request: Request) -> Answer:
    """Accept a Batch in Thrift's binary protocol."""
    from chalicelib.jaeger.ingest import payload_from_binary
    from chalicelib.receive.text_endpoint import receive_request

    return receive_request(request, dict.fromkeys(THRIFT_TYPES, payload_from_binary))


def get_sampling(request: Request) -> Answer:
    """What a client's remote sampler asks for, in Jaeger's words."""
    from chalicelib.http.respond import json_answer
    from chalicelib.model.sampling import strategy_for

    services = request.parameters.get("service", [])
    if len(services) != 1:
        return text(400, "'service' parameter must be provided once")
    try:
        strategy = strategy_for(request.backend.strategies().document(), services[0])
    except StoreError as error:
        _logger.warning("no telling what to sample: %s", error)
        return text(503, "the strategies cannot be read now: ask again")
    return json_answer(strategy, request.headers)


def refuse(request: Request, scope: Scope, failure: Failure) -> Answer:
    """A line of plain text for Jaeger's clients, which send; Clew's own form for those who ask."""
    if scope is Scope.INGEST:
        return text(failure.status, failure.message)
    from chalicelib.http.respond import error_answer

    return error_answer(failure, request.headers)
