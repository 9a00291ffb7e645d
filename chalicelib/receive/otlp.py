"""OTLP requests → payloads: what is valid, in protobuf, whatever it came in.

    uncompressed body ──payload_from_protobuf──▶ Normalised(payload, span_count, rejected)

Every payload is in canonical form (`model/canonical.py`), so that nothing behind this door depends on how a sender
writes: what OpenTelemetry's SDKs send is its own payload, byte for byte. A bad span is left out and counted with its
reason, a bad link is left out of its span. Source: opentelemetry-proto, docs/specification.md, OTLP/HTTP.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from google.protobuf.message import DecodeError, Message
from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans, Span, TracesData

from chalicelib import config
from chalicelib.errors import InvalidPayload, PayloadTooLarge
from chalicelib.model import shadow_pb2 as shadow
from chalicelib.model.canonical import (
    PART_BYTES,
    canonical_of,
    in_parts,
    without_empty_groups,
)
from chalicelib.model.ids import SPAN_ID_BYTES, TRACE_ID_BYTES, ZERO_SPAN_ID, ZERO_TRACE_ID
from chalicelib.model.links import drop_bad_links
from chalicelib.model.span import head_of
from chalicelib.model.wire import field
from chalicelib.receive.bounds import SENT_BYTES_MAX, has_more_fields
from chalicelib.receive.pieces import piece_done

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_REASONS_TOLD_MAX = 5
_LINK_FAULT = (
    f"a link's trace_id must be {TRACE_ID_BYTES} bytes and its span_id {SPAN_ID_BYTES}, "
    "neither all zero; their spans are accepted"
)

_TOO_LARGE = f"a span with its resource may have {config.SPAN_BYTES_MAX} bytes"
_HEAD_FIELDS_MAX = 100
"""The most other fields of a message of groups or spans: a resource or scope, a schema, what a later OTLP may add."""

Proto = TypeVar("Proto", bound=Message)


class Normalised(NamedTuple):
    payload: bytes
    """TracesData bytes in canonical form, which every reader can parse; b"" for no spans."""
    span_count: int
    rejected: Counter[str]
    """Reason → spans rejected for it."""
    warnings: tuple[str, ...] = ()
    """What else the sender is told: something of a span was left out, and the span was accepted."""


def payload_from_protobuf(body: bytes) -> Normalised:
    """The payload of ExportTraceServiceRequest bytes.

    Raises InvalidPayload if the bytes are no such message at all, PayloadTooLarge for too many spans or groups.
    """
    groups = list(_groups(body))
    check_span_count(sum(len(group.raws) for group in groups))
    if len(body) > PART_BYTES and any(map(_is_too_large, groups)):
        return _salvaged(body)
    try:
        # Parsed, so that every reader can; and looked at by groups, without an object for each span.
        payload = canonical_of(body)
    except DecodeError:
        return _salvaged(body)
    if payload != body:
        groups = list(_groups(payload))
    if any(group.has_empty for group in groups):
        payload = without_empty_groups(payload)
        groups = list(_groups(payload))
    if not all(map(_is_sound, groups)):
        return _salvaged(payload)
    span_count = sum(len(group.raws) for group in groups)
    return Normalised(payload if span_count else b"", span_count, Counter())


class _Group(NamedTuple):
    """The spans of a ScopeSpans, or as many as are looked at together; or none, of a ResourceSpans without any."""

    shared_bytes: int
    """The bytes of the resource and the scope that its spans share."""
    raws: Sequence[bytes]
    has_empty: bool
    """Whether it has no spans, or a resource or scope that says nothing."""


def _groups(body: bytes) -> Iterator[_Group]:
    """Refuses a body of millions of empty messages before a parser makes an object of each."""
    groups = 0
    _check_fields(body)
    for raw_resource_spans in _shadow(shadow.TracesData, body).resource_spans:
        _check_fields(raw_resource_spans)
        resource_spans = _shadow(shadow.ResourceSpans, raw_resource_spans)
        resource, scopes = resource_spans.resource[:], resource_spans.scope_spans[:]
        groups += 1 + len(scopes)
        if groups > config.GROUPS_PER_REQUEST_MAX:
            raise _too_many_groups()
        resource_bytes = sum(map(len, resource))
        says_nothing = not scopes or (not resource_bytes and bool(resource))
        if not scopes:
            yield _Group(resource_bytes, (), says_nothing)
        for raw_scope_spans in scopes:
            # Their scope and schema are fields too.
            if has_more_fields(raw_scope_spans, config.SPANS_PER_REQUEST_MAX + _HEAD_FIELDS_MAX):
                raise PayloadTooLarge(
                    f"the request has more than {config.SPANS_PER_REQUEST_MAX} spans: send smaller batches"
                )
            scope_spans = _shadow(shadow.ScopeSpans, raw_scope_spans)
            raws, scope = scope_spans.spans, scope_spans.scope[:]
            # Before an object is made of each.
            check_span_count(len(raws))
            scope_bytes = sum(map(len, scope))
            has_empty = says_nothing or not raws or (not scope_bytes and bool(scope))
            is_large = len(raw_scope_spans) > PART_BYTES
            for part in in_parts(raws[:]) if is_large else (raws[:],):
                piece_done(sum(map(len, part)) if is_large else len(raw_scope_spans))
                yield _Group(resource_bytes + scope_bytes, part, has_empty)


def _check_fields(message: bytes) -> None:
    """Raises PayloadTooLarge for a request, or a resource's spans, of more fields than there may be groups."""
    if has_more_fields(message, config.GROUPS_PER_REQUEST_MAX + _HEAD_FIELDS_MAX):
        raise _too_many_groups()


def _too_many_groups() -> PayloadTooLarge:
    return PayloadTooLarge(
        f"the request has more than {config.GROUPS_PER_REQUEST_MAX} resources and scopes: send smaller batches"
    )


def _is_too_large(group: _Group) -> bool:
    """Whether a span of the group may be rejected for its size: it is not to be parsed with many others."""
    largest = max(map(len, group.raws), default=0)
    return group.shared_bytes + largest > config.SPAN_BYTES_MAX


def _is_sound(group: _Group) -> bool:
    """Whether no span of a group, in canonical form, can have a fault; if not, `_salvaged` looks closely."""
    raws = group.raws
    if group.shared_bytes + max(map(len, raws), default=0) > config.SPAN_BYTES_MAX // 2:
        return False
    try:
        columns = shadow.SpanColumns.FromString(b"".join(raws))
        # An attribute takes two bytes at least.
        large = [raw for raw in raws if len(raw) >= 2 * config.ATTRIBUTES_PER_SPAN_MAX]
        attributes = [len(shadow.SpanAttributes.FromString(raw).attributes) for raw in large]
        # A link's ids have the numbers that a span's own have.
        links = columns.links[:]
        of_links = shadow.SpanColumns.FromString(b"".join(links)) if links else None
    except DecodeError:
        return False
    return (
        _have_ids(columns, len(raws))
        and {0, SPAN_ID_BYTES}.issuperset(map(len, columns.parent_span_id[:]))
        and max(attributes, default=0) <= config.ATTRIBUTES_PER_SPAN_MAX
        and (of_links is None or _have_ids(of_links, len(links)))
    )


def _have_ids(columns: shadow.SpanColumns, count: int) -> bool:
    trace_ids, span_ids = columns.trace_id[:], columns.span_id[:]
    return (
        len(trace_ids) == len(span_ids) == count
        and {TRACE_ID_BYTES}.issuperset(map(len, trace_ids))
        and ZERO_TRACE_ID not in trace_ids
        and {SPAN_ID_BYTES}.issuperset(map(len, span_ids))
        and ZERO_SPAN_ID not in span_ids
    )


def _fault(span: Span, shared_bytes: int) -> str | None:
    """Why a span cannot be stored, as the sender is told; None if it can. `shared_bytes`: its resource and scope."""
    if shared_bytes + span.ByteSize() > config.SPAN_BYTES_MAX:
        return _TOO_LARGE
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
        raise InvalidPayload("the body is not an OTLP ExportTraceServiceRequest") from error


def _salvaged(body: bytes) -> Normalised:
    """The good spans of a request with bad ones, or with spans that need a closer look."""
    salvage = _Salvage()
    kept = list(map(salvage.resource_spans, _shadow(shadow.TracesData, body).resource_spans))
    payload = without_empty_groups(canonical_of(b"".join(kept)))
    return Normalised(payload, salvage.span_count, salvage.rejected, salvage.warnings)


class _Salvage:
    """Takes the good spans out of groups, and counts what is left out."""

    def __init__(self) -> None:
        self.rejected: Counter[str] = Counter()
        self.span_count = 0
        self._dropped_links = 0

    @property
    def warnings(self) -> tuple[str, ...]:
        return (
            (f"links dropped: {self._dropped_links}; {_LINK_FAULT}",) if self._dropped_links else ()
        )

    def resource_spans(self, raw: bytes) -> bytes:
        """The field of TracesData; empty if its resource is no valid message."""
        sent = _shadow(shadow.ResourceSpans, raw)
        scopes = [_shadow(shadow.ScopeSpans, each) for each in sent.scope_spans]
        head = head_of(sent.resource, sent.schema_url)
        try:
            _check_sent_bytes(head)
            (found,) = TracesData.FromString(field(1, head)).resource_spans
        except DecodeError:
            of_scopes = sum(len(each.spans) for each in scopes)
            self.rejected["its resource is not a valid message"] += of_scopes
            return b""
        resource_bytes = found.resource.ByteSize()
        parts = [self._scope_spans(each, resource_bytes) for each in scopes]
        return field(1, head + b"".join(parts))

    def _scope_spans(self, sent: shadow.ScopeSpans, resource_bytes: int) -> bytes:
        head = head_of(sent.scope, sent.schema_url)
        try:
            _check_sent_bytes(head)
            scope_bytes = _scope_spans(head).scope.ByteSize()
        except DecodeError:
            self.rejected["its scope is not a valid message"] += len(sent.spans)
            return b""
        parts = [self._span(raw, resource_bytes + scope_bytes) for raw in sent.spans]
        return field(2, head + b"".join(parts))

    def _span(self, raw: bytes, shared_bytes: int) -> bytes:
        """The field of ScopeSpans; empty if the span is bad."""
        piece_done(len(raw))
        if len(raw) > SENT_BYTES_MAX:
            self.rejected[_TOO_LARGE] += 1
            return b""
        try:
            (span,) = _scope_spans(field(2, raw)).spans
        except DecodeError:
            self.rejected[
                "it is not a valid message: damaged, not UTF-8, or nested too deeply"
            ] += 1
            return b""
        if reason := _fault(span, shared_bytes):
            self.rejected[reason] += 1
            return b""
        self.span_count += 1
        dropped = drop_bad_links(span)
        self._dropped_links += dropped
        return field(2, span.SerializeToString(deterministic=True) if dropped else raw)


def _check_sent_bytes(head: bytes) -> None:
    """Raises DecodeError for a resource or scope that is not worth parsing."""
    if len(head) > SENT_BYTES_MAX:
        raise DecodeError("too large")


def _scope_spans(content: bytes) -> ScopeSpans:
    """Parsed as deep as it is in a request: what is deeper no reader could parse. Raises DecodeError."""
    return TracesData.FromString(field(1, field(2, content))).resource_spans[0].scope_spans[0]


def rejection_summary(normalised: Normalised) -> str:
    """The reasons of what was rejected, most frequent first, and the warnings, in a sentence for the sender; or ""."""
    rejected = normalised.rejected
    reasons = [
        f"{count} rejected: {reason}" for reason, count in rejected.most_common(_REASONS_TOLD_MAX)
    ]
    if more := len(rejected) - len(reasons):
        reasons.append(f"and {more} other reasons")
    return "; ".join([*reasons, *normalised.warnings])
