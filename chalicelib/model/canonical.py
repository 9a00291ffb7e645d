"""The canonical form of OTLP's protobuf: one for whatever bytes say the same.

    bytes of a sender ──canonical_of──▶ as OpenTelemetry's SDKs write them: fields by number, numbers and lengths as
                                        short as can be, what is default left out, pieces of a message put together

Protobuf leaves all of that to who writes: Collectors from 0.133 on write fields from the last to the first, .NET's
exporter writes lengths as four bytes. What this release does not know stays, after what it knows, in the order in
which it came. Source: protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError
from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans, TracesData

from chalicelib.model import shadow_pb2 as shadow
from chalicelib.model.wire import Prefixes, field

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from google.protobuf.message import Message
    from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans

PART_BYTES = 1_000_000
"""What is parsed at once, with an object for each span and attribute: these are many times larger than their bytes."""
_EMPTY_HEAD = field(1, b"")
"""What a message in canonical form begins with if its resource or scope says nothing."""
_span_prefixes = Prefixes(2)


def canonical_of(payload: bytes, part_bytes: int = PART_BYTES) -> bytes:
    """TracesData bytes in canonical form, parsed in parts of no more than `part_bytes`.

    No resource, scope or span should be larger: each is parsed at once. Raises DecodeError for what is no TracesData,
    or is nested more deeply than parsers go.
    """
    if len(payload) <= part_bytes:
        return _written(TracesData.FromString(payload))
    request = shadow.TracesData.FromString(payload)
    raws = request.resource_spans[:]
    request.ClearField("resource_spans")
    groups = (field(1, _resource_spans(raw, part_bytes)) for raw in raws)
    return b"".join([*groups, _written(request)])


def _resource_spans(raw: bytes, part_bytes: int) -> bytes:
    if len(raw) <= part_bytes:
        return _written(_parsed(raw))
    sent = shadow.ResourceSpans.FromString(raw)
    scopes = [field(2, _scope_spans(each, part_bytes)) for each in sent.scope_spans[:]]
    sent.ClearField("scope_spans")
    return _around(scopes, _parsed(_written(sent)), "resource")


def _scope_spans(raw: bytes, part_bytes: int) -> bytes:
    if len(raw) <= part_bytes:
        return _written(_parsed_scope(raw))
    sent = shadow.ScopeSpans.FromString(raw)
    spans = [
        _written(_parsed_scope(b"".join([field(2, each) for each in part])))
        for part in in_parts(sent.spans[:], part_bytes)
    ]
    sent.ClearField("spans")
    return _around(spans, _parsed_scope(_written(sent)), "scope")


def _around(children: Sequence[bytes], message: Message, head: str) -> bytes:
    """The message's fields with the children where they stand by their number: after the first, before the others."""
    first = field(1, _written(getattr(message, head))) if message.HasField(head) else b""
    message.ClearField(head)
    return b"".join([first, *children, _written(message)])


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
    """A message as deep as it is in a request: what is nested deeper, no reader could parse."""
    return TracesData.FromString(field(1, content)).resource_spans[0]


def _parsed_scope(content: bytes) -> ScopeSpans:
    return _parsed(field(2, content)).scope_spans[0]


def _written(message: Message) -> bytes:
    written: bytes = message.SerializeToString(deterministic=True)
    return written


def without_empty_groups(canonical: bytes) -> bytes:
    """TracesData bytes in canonical form, without resources and scopes that have no spans or say nothing.

    Some write `"resource":{}` or a scope without spans, and others nothing. No span is parsed.
    """
    request = shadow.TracesData.FromString(canonical)
    raws = request.resource_spans[:]
    request.ClearField("resource_spans")
    groups = (field(1, group) for group in map(_full_resource, raws) if group)
    return b"".join([*groups, _written(request)])


def _full_resource(raw: bytes) -> bytes:
    """Empty if it has no spans."""
    resource_spans = shadow.ResourceSpans.FromString(raw.removeprefix(_EMPTY_HEAD))
    scopes = [
        each.removeprefix(_EMPTY_HEAD)
        for each in resource_spans.scope_spans[:]
        if shadow.ScopeSpans.FromString(each).spans
    ]
    resource_spans.scope_spans[:] = scopes
    return _written(resource_spans) if scopes else b""


def canonical_spans(raws: Sequence[bytes]) -> Sequence[bytes]:
    """Span messages in canonical form. What is nested more deeply than parsers go stays as it is."""
    joined = b"".join([part for raw in raws for part in (_span_prefixes[len(raw)], raw)])
    try:
        canonical = ScopeSpans.FromString(joined).SerializeToString(deterministic=True)
    except DecodeError:
        return raws
    return raws if canonical == joined else shadow.ScopeSpans.FromString(canonical).spans[:]
