"""TracesData parsed and written again in parts: a parser's objects are many times larger than what they are made of.

    TracesData bytes ──rewritten──▶ what parsing it whole, leaving out what is empty, and serialising it gives

An empty link has two bytes on the wire and 90 in a parser's memory. Of a large request no more than `PART_BYTES` is
parsed at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from chalicelib.model import shadow_pb2 as shadow
from chalicelib.model.wire import field

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from google.protobuf.message import Message
    from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans

PART_BYTES = 1_000_000


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
