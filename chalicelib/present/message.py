"""A stored span's message, as every dialect renders it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.proto.trace.v1.trace_pb2 import Span as SpanMessage

from chalicelib.model.links import drop_bad_links

if TYPE_CHECKING:
    from chalicelib.model.span import Span


def message_of(stored: Span) -> SpanMessage:
    """A stored span's message, without links whose ids strict readers refuse: earlier releases stored them."""
    message = SpanMessage.FromString(stored.raw)
    if stored.raw_links:
        drop_bad_links(message)
    return message
