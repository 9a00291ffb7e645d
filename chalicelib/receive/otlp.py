"""OTLP requests → payloads: what is valid, in protobuf, whatever it came in.

    uncompressed body ──payload_from_protobuf / payload_from_json──▶ Normalised(payload, span_count, rejected)

A request without fault is its own payload, byte for byte. Otherwise the good spans' bytes are joined anew, and each
bad one is counted with its reason. Source: opentelemetry-proto, docs/specification.md, OTLP/HTTP.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from google.protobuf.message import DecodeError, Message
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span, TracesData

from chalicelib import config
from chalicelib.errors import InvalidPayload, PayloadTooLarge
from chalicelib.model import shadow_pb2 as shadow
from chalicelib.model.ids import SPAN_ID_BYTES, TRACE_ID_BYTES, ZERO_SPAN_ID, ZERO_TRACE_ID
from chalicelib.model.wire import field
from chalicelib.receive.bounds import PART_BYTES, in_parts, rewritten

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_REASONS_TOLD_MAX = 5

Proto = TypeVar("Proto", bound=Message)


class Normalised(NamedTuple):
    payload: bytes
    """TracesData bytes that every reader can parse; b"" for no spans."""
    span_count: int
    rejected: Counter[str]
    """Reason → spans rejected for it."""


def payload_from_protobuf(body: bytes) -> Normalised:
    """Of ExportTraceServiceRequest bytes.

    Raises InvalidPayload if the bytes are no such message at all, PayloadTooLarge for too many spans or groups.
    """
    groups = list(_groups(body))
    span_count = sum(len(group.raws) for group in groups)
    check_span_count(span_count)
    try:
        # Parsed, so that every reader can; and looked at by groups, without an object for each span.
        if len(body) <= PART_BYTES:
            TracesData.FromString(body)
        elif any(map(_is_too_large, groups)):
            return _salvaged(body)
        else:
            rewritten(body)
    except DecodeError:
        return _salvaged(body)
    if not all(map(_is_sound, groups)):
        return _salvaged(body)
    return Normalised(body if span_count else b"", span_count, Counter())


class _Group(NamedTuple):
    """The spans of a ScopeSpans, or as many of them as are looked at together."""

    shared_bytes: int
    """Of their resource and scope."""
    raws: Sequence[bytes]


def _groups(body: bytes) -> Iterator[_Group]:
    """Refuses a body of millions of empty messages before a parser makes an object of each."""
    groups = 0
    for raw_resource_spans in _shadow(shadow.TracesData, body).resource_spans:
        resource_spans = _shadow(shadow.ResourceSpans, raw_resource_spans)
        resource_bytes = sum(map(len, resource_spans.resource))
        groups += 1 + len(resource_spans.scope_spans)
        if groups > config.GROUPS_PER_REQUEST_MAX:
            raise PayloadTooLarge(
                f"the request has more than {config.GROUPS_PER_REQUEST_MAX} resources and scopes: send smaller batches"
            )
        for raw_scope_spans in resource_spans.scope_spans:
            scope_spans = _shadow(shadow.ScopeSpans, raw_scope_spans)
            # Before an object is made of each.
            check_span_count(len(scope_spans.spans))
            shared_bytes = resource_bytes + sum(map(len, scope_spans.scope))
            for part in in_parts(scope_spans.spans[:]):
                yield _Group(shared_bytes, part)


def _is_too_large(group: _Group) -> bool:
    """Whether a span of the group is rejected whatever it says: it need not be parsed for that."""
    largest = max(map(len, group.raws), default=0)
    return group.shared_bytes + largest > config.SPAN_BYTES_MAX


def _is_sound(group: _Group) -> bool:
    """Whether no span of a group can have a fault; if not, `_salvaged` looks closely."""
    raws = group.raws
    if group.shared_bytes + max(map(len, raws), default=0) > config.SPAN_BYTES_MAX // 2:
        return False
    try:
        ids = shadow.SpanColumns.FromString(b"".join(raws))
        # An attribute takes two bytes at least.
        large = [raw for raw in raws if len(raw) >= 2 * config.ATTRIBUTES_PER_SPAN_MAX]
        attributes = [len(shadow.SpanAttributes.FromString(raw).attributes) for raw in large]
    except DecodeError:
        return False
    trace_ids, span_ids, parents = ids.trace_id[:], ids.span_id[:], ids.parent_span_id[:]
    return (
        len(trace_ids) == len(span_ids) == len(raws)
        and {TRACE_ID_BYTES}.issuperset(map(len, trace_ids))
        and ZERO_TRACE_ID not in trace_ids
        and {SPAN_ID_BYTES}.issuperset(map(len, span_ids))
        and ZERO_SPAN_ID not in span_ids
        and {0, SPAN_ID_BYTES}.issuperset(map(len, parents))
        and max(attributes, default=0) <= config.ATTRIBUTES_PER_SPAN_MAX
    )


def _fault(span: Span) -> str | None:
    """Why a span cannot be stored, as the sender is told; None if it can."""
    trace_id, span_id, parent = span.trace_id, span.span_id, span.parent_span_id
    if len(trace_id) != TRACE_ID_BYTES or trace_id == ZERO_TRACE_ID:
        return f"trace_id must be {TRACE_ID_BYTES} bytes, not all zero"
    if len(span_id) != SPAN_ID_BYTES or span_id == ZERO_SPAN_ID:
        return f"span_id must be {SPAN_ID_BYTES} bytes, not all zero"
    if parent and len(parent) != SPAN_ID_BYTES:
        return f"parent_span_id must be {SPAN_ID_BYTES} bytes or empty"
    if len(span.attributes) > config.ATTRIBUTES_PER_SPAN_MAX:
        return f"a span may have {config.ATTRIBUTES_PER_SPAN_MAX} attributes"
    return None


def check_span_count(span_count: int) -> None:
    """Raises PayloadTooLarge."""
    if span_count > config.SPANS_PER_REQUEST_MAX:
        raise PayloadTooLarge(
            f"the request has {span_count} spans, the limit is {config.SPANS_PER_REQUEST_MAX}: send smaller batches"
        )


def _shadow(message: type[Proto], data: bytes) -> Proto:
    try:
        return message.FromString(data)
    except DecodeError as error:
        raise InvalidPayload(
            f"the body is not an OTLP ExportTraceServiceRequest: {error}"
        ) from error


def _salvaged(body: bytes) -> Normalised:
    """The good spans of a request with bad ones, or with spans that need a closer look."""
    rejected: Counter[str] = Counter()
    kept: list[bytes] = []
    span_count = 0
    for raw_resource_spans in _shadow(shadow.TracesData, body).resource_spans:
        resource_spans = _shadow(shadow.ResourceSpans, raw_resource_spans)
        resource = b"".join(resource_spans.resource)
        scopes = [_shadow(shadow.ScopeSpans, raw) for raw in resource_spans.scope_spans]
        if len(resource) > config.SPAN_BYTES_MAX or not _parses(Resource, resource):
            rejected["its resource is not a valid message"] += sum(len(s.spans) for s in scopes)
            continue
        parts = [field(1, resource)] if resource_spans.resource else []
        parts_before = len(parts)
        for scope_spans in scopes:
            good = _good_spans(scope_spans, len(resource), rejected)
            span_count += len(good)
            if good:
                parts.append(field(2, _scope_spans(scope_spans, good)))
        if resource_spans.schema_url:
            parts.append(field(3, resource_spans.schema_url.encode()))
        if len(parts) > parts_before and span_count:
            kept.append(field(1, b"".join(parts)))
    check_span_count(span_count)
    return Normalised(b"".join(kept) if span_count else b"", span_count, rejected)


def _good_spans(
    scope_spans: shadow.ScopeSpans, resource_bytes: int, rejected: Counter[str]
) -> list[bytes]:
    scope = b"".join(scope_spans.scope)
    if len(scope) > config.SPAN_BYTES_MAX or not _parses(InstrumentationScope, scope):
        rejected["its scope is not a valid message"] += len(scope_spans.spans)
        return []
    good = []
    for raw in scope_spans.spans:
        if reason := _raw_fault(raw, resource_bytes + len(scope) + len(raw)):
            rejected[reason] += 1
        else:
            good.append(raw)
    return good


def _raw_fault(raw: bytes, span_bytes: int) -> str | None:
    if span_bytes > config.SPAN_BYTES_MAX:
        return f"a span with its resource may have {config.SPAN_BYTES_MAX} bytes"
    try:
        return _fault(Span.FromString(raw))
    except DecodeError:
        return "it is not a valid message: damaged, not UTF-8, or nested too deeply"


def _parses(message: type[Message], data: bytes) -> bool:
    try:
        message.FromString(data)
    except DecodeError:
        return False
    return True


def _scope_spans(scope_spans: shadow.ScopeSpans, spans: Sequence[bytes]) -> bytes:
    parts = [field(1, b"".join(scope_spans.scope))] if scope_spans.scope else []
    parts += [field(2, raw) for raw in spans]
    if scope_spans.schema_url:
        parts.append(field(3, scope_spans.schema_url.encode()))
    return b"".join(parts)


def payload_from_json(body: bytes) -> Normalised:
    """Of an OTLP/JSON request, as `otlp_json.payload_from_json` reads it and raises."""
    # It costs a cold start, and most senders never need it.
    from chalicelib.receive import otlp_json

    return otlp_json.payload_from_json(body)


def told(rejected: Counter[str]) -> str:
    """The reasons, most frequent first, in a sentence for the sender."""
    reasons = [
        f"{count} rejected: {reason}" for reason, count in rejected.most_common(_REASONS_TOLD_MAX)
    ]
    more = len(rejected) - len(reasons)
    return "; ".join(reasons) + (f"; and {more} other reasons" if more else "")
