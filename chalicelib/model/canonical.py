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
from chalicelib.model.wire import Prefixes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from google.protobuf.message import Message

_span_prefixes = Prefixes(2)


def canonical_of(payload: bytes) -> bytes:
    """TracesData bytes in canonical form.

    Raises DecodeError for what is no TracesData, or is nested more deeply than parsers go.
    """
    canonical: bytes = TracesData.FromString(payload).SerializeToString(deterministic=True)
    return canonical


def without_empty_groups(payload: bytes) -> bytes:
    """TracesData bytes in canonical form, without resources and scopes that have no spans or say nothing.

    Some write `"resource":{}` or a scope without spans, and others nothing. Raises as `canonical_of` does.
    """
    data = TracesData.FromString(payload)
    groups = data.resource_spans
    for place in range(len(groups) - 1, -1, -1):
        resource_spans = groups[place]
        scopes = resource_spans.scope_spans
        for at in range(len(scopes) - 1, -1, -1):
            if scopes[at].spans:
                _clear_if_empty(scopes[at], "scope")
            else:
                del scopes[at]
        if scopes:
            _clear_if_empty(resource_spans, "resource")
        else:
            del groups[place]
    canonical: bytes = data.SerializeToString(deterministic=True)
    return canonical


def _clear_if_empty(message: Message, name: str) -> None:
    if message.HasField(name) and not getattr(message, name).ByteSize():
        message.ClearField(name)


def canonical_spans(raws: Sequence[bytes]) -> Sequence[bytes]:
    """Span messages in canonical form. What is nested more deeply than parsers go stays as it is."""
    joined = b"".join([part for raw in raws for part in (_span_prefixes[len(raw)], raw)])
    try:
        canonical = ScopeSpans.FromString(joined).SerializeToString(deterministic=True)
    except DecodeError:
        return raws
    return raws if canonical == joined else shadow.ScopeSpans.FromString(canonical).spans[:]
