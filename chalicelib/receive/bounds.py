"""TracesData parsed and written again in parts: a parser's objects are many times larger than what they are made of.

    TracesData bytes ──rewritten──▶ what parsing it whole, leaving out what is empty, and serialising it gives

An empty link has two bytes on the wire and 90 in a parser's memory. Of a large request no more than `PART_BYTES` is
parsed at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from chalicelib import config
from chalicelib.model import shadow_pb2 as shadow
from chalicelib.model.wire import field, varint_at
from chalicelib.receive.pieces import piece_done

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from google.protobuf.message import Message
    from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans

PART_BYTES = 1_000_000
SENT_BYTES_MAX = 4 * config.SPAN_BYTES_MAX
"""A span, resource or scope that is longer than this as sent is not parsed: no sender's way of writing makes four
bytes of one."""
_FIXED_BYTES = {1: 8, 5: 4}
"""Wire type → the bytes of its values."""
_VARINT, _LENGTH_DELIMITED = 0, 2


def has_more_fields(message: bytes, fields_max: int, part_bytes: int = PART_BYTES) -> bool:
    """Whether a protobuf message has more fields at its top than that: what is repeated counts each time.

    A parser keeps sixteen bytes and more of each, and an empty one has two. A message of no more than `part_bytes` is
    not looked into, and nothing is said of bytes that are no message: that is for the parser.
    """
    end = len(message)
    if end <= part_bytes:
        return False
    at = 0
    try:
        for _ in range(fields_max):
            # Nearly all are length-delimited, of a number below 16.
            tag, size = message[at], message[at + 1]
            if tag < 0x80 and tag & 7 == _LENGTH_DELIMITED:
                at += 2
                if size >= 0x80:
                    size, at = varint_at(message, at - 1)
                at += size
            else:
                at = _end_of_field(message, at)
            if at >= end:
                return False
    except (IndexError, ValueError):
        return False
    return True


def _end_of_field(message: bytes, at: int) -> int:
    """What is in a group counts as if it were beside it."""
    tag, at = varint_at(message, at)
    wire_type = tag & 7
    if wire_type == _VARINT:
        return varint_at(message, at)[1]
    if wire_type == _LENGTH_DELIMITED:
        size, at = varint_at(message, at)
        return at + size
    return at + _FIXED_BYTES.get(wire_type, 0)


def rewritten(body: bytes, part_bytes: int = PART_BYTES) -> bytes:
    """Groups without spans are left out, and so are resources and scopes that say nothing.

    No resource, scope or span should be larger than `part_bytes`: each is parsed at once. Raises DecodeError.
    """
    request = shadow.TracesData.FromString(body)
    raws = request.resource_spans[:]
    request.ClearField("resource_spans")
    groups = (_resource_spans(raw, part_bytes) for raw in raws)
    return b"".join([*(field(1, each) for each in groups if each), _written(request)])


def _resource_spans(raw: bytes, part_bytes: int) -> bytes:
    """Empty if it has no spans."""
    sent = shadow.ResourceSpans.FromString(raw)
    raw_scopes = sent.scope_spans[:]
    sent.ClearField("scope_spans")
    scopes = [
        field(2, each) for each in (_scope_spans(raw, part_bytes) for raw in raw_scopes) if each
    ]
    if not scopes:
        return b""
    return _around(scopes, _parsed(_written(sent)), "resource")


def _scope_spans(raw: bytes, part_bytes: int) -> bytes:
    """Empty if it has no spans."""
    sent = shadow.ScopeSpans.FromString(raw)
    raw_spans = sent.spans[:]
    sent.ClearField("spans")
    if not raw_spans:
        return b""
    spans = [
        _written(_parsed_scope(b"".join([field(2, raw) for raw in part])))
        for part in in_parts(raw_spans, part_bytes)
    ]
    return _around(spans, _parsed_scope(_written(sent)), "scope")


def _around(children: list[bytes], message: Message, head: str) -> bytes:
    """The message's fields with the children where they stand by their number: after the first, before the others."""
    content = _written(getattr(message, head))
    message.ClearField(head)
    return b"".join([field(1, content) if content else b"", *children, _written(message)])


def in_parts(raws: Iterable[bytes], part_bytes: int = PART_BYTES) -> Iterator[list[bytes]]:
    """The messages in order, as many at a time as fit; at least one, and one time at least."""
    part: list[bytes] = []
    size = 0
    for raw in raws:
        if part and size + len(raw) > part_bytes:
            piece_done(size)
            yield part
            part, size = [], 0
        part.append(raw)
        size += len(raw)
    yield part


def _parsed(content: bytes) -> ResourceSpans:
    """As deep as it is in a request: what is deeper no reader could parse."""
    return TracesData.FromString(field(1, content)).resource_spans[0]


def _parsed_scope(content: bytes) -> ScopeSpans:
    return _parsed(field(2, content)).scope_spans[0]


def _written(message: Message) -> bytes:
    return message.SerializeToString(deterministic=True)
