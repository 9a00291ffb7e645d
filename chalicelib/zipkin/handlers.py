"""Where Zipkin's clients send spans, and how its UI asks to be configured: what each route does with its request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.http.text import text
from chalicelib.receive.text_endpoint import ANY_TYPE, receive_request

if TYPE_CHECKING:
    from chalicelib.http.answer import Answer
    from chalicelib.http.errors import Failure
    from chalicelib.http.request import Request
    from chalicelib.model.token import Scope


def post_spans(request: Request) -> Answer:
    """Accept a list of spans of Zipkin's second model, in JSON or protobuf."""
    from chalicelib.zipkin.ingest import payload_from_json, payload_from_proto

    return receive_request(
        request, {"application/x-protobuf": payload_from_proto, ANY_TYPE: payload_from_json}
    )


def post_spans_v1(request: Request) -> Answer:
    """Accept a list of spans of Zipkin's first model, in JSON or Thrift."""
    from chalicelib.zipkin.ingest_v1 import payload_from_json, payload_from_thrift

    return receive_request(
        request, {"application/x-thrift": payload_from_thrift, ANY_TYPE: payload_from_json}
    )


def get_config(request: Request) -> Answer:
    """How Zipkin's UI is to be."""
    from chalicelib.http.answering import json_of
    from chalicelib.zipkin.render import UI_CONFIG

    return json_of(request, lambda: UI_CONFIG)


def refuse(request: Request, scope: Scope, failure: Failure) -> Answer:
    """A line of plain text."""
    del request, scope
    return text(failure.status, failure.message)
