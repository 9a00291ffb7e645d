"""Jaeger's Thrift batches → payloads: the bytes of OTLP are joined from the batch's own, nothing in between.

    body ──payload_from_binary──┐
    datagram ──payload_from_call┴──▶ Normalised(payload, span_count, rejected)

What OpenTelemetry has a field for becomes that field (kind, status, trace state, scope, the event's name); every other
tag is an attribute under its own key. Numbers of fields: jaeger-idl, thrift/jaeger.thrift. Mapping:
opentelemetry-collector-contrib, pkg/translator/jaeger.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from struct import Struct
from struct import error as StructError
from typing import TYPE_CHECKING, Any, NamedTuple

from chalicelib.errors import InvalidPayload
from chalicelib.model.span import CLIENT, CONSUMER, INTERNAL, PRODUCER, SERVER, STATUS_ERROR
from chalicelib.model.wire import field, varint
from chalicelib.receive.otlp import Normalised, check_span_count, payload_from_protobuf
from chalicelib.receive.thrift import binary_struct, call

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chalicelib.receive.thrift import Fields

_STRING, _DOUBLE, _BOOL, _LONG, _BINARY = range(5)
"""A tag's type (field 2); its value is in the field of that number, counted from 3."""
_TAG_KEY, _TAG_TYPE, _TAG_VALUES = 1, 2, 3
_VALUE_TYPES: tuple[type, ...] = (bytes, float, bool, int, bytes)
_NO_VALUE: tuple[Any, ...] = (b"", 0.0, False, 0, b"")
_FOLLOWS_FROM = 1
_SAMPLED, _DEBUG = 1, 2
_STATUS_OK = 1
_MICRO_NANO = 1_000
_UINT64 = 2**64 - 1
_SERVER_ERROR_MIN, _CLIENT_ERROR_MIN = 500, 400
DEBUG_KEY = b"jaeger.debug"
"""Boolean attribute of a span that was forced to be kept: OpenTelemetry has no flag for it."""
REF_TYPE_KEY = b"opentracing.ref_type"

_KINDS = {
    b"internal": INTERNAL,
    b"server": SERVER,
    b"client": CLIENT,
    b"producer": PRODUCER,
    b"consumer": CONSUMER,
}
_TEXT_FIELDS = {
    b"otel.scope.name": "scope_name",
    b"otel.library.name": "scope_name",
    b"otel.scope.version": "scope_version",
    b"otel.library.version": "scope_version",
    b"otel.status_description": "status_message",
    b"w3c.tracestate": "trace_state",
}
_STATUS_CODES = {b"ERROR": STATUS_ERROR, b"OK": _STATUS_OK}
_TOLD_KEYS = frozenset(
    [b"span.kind", b"otel.status_code", b"error", b"http.status_code", *_TEXT_FIELDS]
)
_fixed64, _double = Struct("<Q").pack, Struct("<d").pack
_DEBUG_ATTRIBUTE = field(1, DEBUG_KEY) + field(2, b"\x10\x01")
_FLAG_SAMPLED = b"\x85\x01\x01\x00\x00\x00"


def payload_from_binary(body: bytes) -> Normalised:
    """Of a Batch in Thrift's binary protocol, as it comes over HTTP.

    Raises InvalidPayload if it is none, or names no process; PayloadTooLarge for too many spans. Spans without ids, or
    that could not be stored, are counted as rejected.
    """
    return _payload(binary_struct(body))


def payload_from_call(datagram: bytes) -> Normalised:
    """Of an `emitBatch` call in either protocol, as it comes to an agent. Raises as `payload_from_binary` does."""
    name, arguments = call(datagram)
    batch = arguments.get(1)
    if name != b"emitBatch" or not isinstance(batch, dict):
        raise InvalidPayload(f"an agent takes emitBatch, not {name!r:.100}")
    return _payload(batch)


def _payload(batch: Fields) -> Normalised:
    process, spans = batch.get(1), batch.get(2) or []
    if not isinstance(process, dict) or not isinstance(spans, list):
        raise InvalidPayload("the batch has no process, and so no service name")
    check_span_count(len(spans))
    writer = _Writer()
    rejected: Counter[str] = Counter()
    by_scope: dict[bytes, list[bytes]] = defaultdict(list)
    for span in spans:
        try:
            scope, raw = writer.span(span)
        except (LookupError, TypeError, AttributeError, StructError):
            rejected["a field is missing, or has the wrong type"] += 1
        else:
            by_scope[scope].append(field(2, raw))
    try:
        head = field(1, writer.resource(process))
    except (LookupError, TypeError, AttributeError) as error:
        raise InvalidPayload("the batch's process has a field of the wrong type") from error
    scopes = [field(2, scope + b"".join(of_scope)) for scope, of_scope in by_scope.items()]
    normalised = payload_from_protobuf(field(1, head + b"".join(scopes)))
    return normalised._replace(rejected=normalised.rejected + rejected)


class _Told(NamedTuple):
    """What a span's tags say of its own fields; the rest are attributes."""

    kind: int
    status: bytes
    """The Status message."""
    scope: bytes
    """The scope as a field of ScopeSpans; empty for none."""
    trace_state: bytes
    attributes: list[bytes]
    """KeyValue messages."""


class _Writer:
    """Encodes spans; equal tags of a batch are encoded once.

    Raises LookupError, TypeError, AttributeError or StructError for fields that are absent or of the wrong type.
    """

    def __init__(self) -> None:
        self._key_values: dict[tuple[Any, ...], bytes] = {}

    def resource(self, process: Fields) -> bytes:
        name = _key_value(b"service.name", _STRING, process.get(1) or b"")
        tags = [self._tag(tag) for tag in process.get(2) or () if tag[_TAG_KEY] != b"service.name"]
        return b"".join([field(1, raw) for raw in (name, *tags)])

    def span(self, span: Fields) -> tuple[bytes, bytes]:
        """(Scope, Span) as OTLP's bytes."""
        trace_id = _trace_id(span.get(2), span[1])
        told = self._told(span.get(10) or ())
        parent, links = _parent_and_links(span, trace_id)
        start = max(0, span[8]) * _MICRO_NANO
        end = start + max(0, span.get(9) or 0) * _MICRO_NANO
        flags = span.get(7) or 0
        attributes = told.attributes
        if flags & _DEBUG:
            attributes = [*attributes, _DEBUG_ATTRIBUTE]
        parts = [
            field(1, trace_id),
            field(2, _span_id(span[3])),
            field(3, told.trace_state) if told.trace_state else b"",
            field(4, parent) if parent else b"",
            field(5, _utf8(span.get(5) or b"")),
            b"\x30" + varint(told.kind) if told.kind else b"",
            b"\x39" + _fixed64(start & _UINT64),
            b"\x41" + _fixed64(end & _UINT64),
            *[field(9, raw) for raw in attributes],
            *[field(11, self._event(log)) for log in span.get(11) or ()],
            *[field(13, link) for link in links],
            field(15, told.status) if told.status else b"",
            _FLAG_SAMPLED if flags & _SAMPLED else b"",
        ]
        return told.scope, b"".join(parts)

    def _told(self, tags: Sequence[Fields]) -> _Told:
        texts: dict[str, bytes] = {}
        attributes: list[bytes] = []
        kind, code, http_status = 0, None, 0
        for tag in tags:
            key = tag[_TAG_KEY]
            value = _value(tag) if key in _TOLD_KEYS else None
            if key == b"span.kind" and value in _KINDS:
                kind = _KINDS[value]
            elif key in _TEXT_FIELDS and isinstance(value, bytes):
                texts[_TEXT_FIELDS[key]] = _utf8(value)
            elif key == b"otel.status_code" and value in _STATUS_CODES:
                code = _STATUS_CODES[value]
            elif key == b"error" and value is True:
                code = STATUS_ERROR
            else:
                if key == b"http.status_code" and isinstance(value, int):
                    http_status = value
                attributes.append(self._tag(tag))
        if code is None and _is_http_error(http_status, kind):
            code = STATUS_ERROR
        return _Told(
            kind,
            _status(code or 0, texts.get("status_message", b"")),
            _scope(texts.get("scope_name", b""), texts.get("scope_version", b"")),
            texts.get("trace_state", b""),
            attributes,
        )

    def _event(self, log: Fields) -> bytes:
        name, attributes = b"", []
        for tag in log.get(2) or ():
            if tag[_TAG_KEY] == b"event" and not name and tag.get(_TAG_TYPE, 0) == _STRING:
                name = _utf8(_value(tag))
            else:
                attributes.append(field(3, self._tag(tag)))
        time = b"\x09" + _fixed64(max(0, log[1]) * _MICRO_NANO & _UINT64)
        return time + (field(2, name) if name else b"") + b"".join(attributes)

    def _tag(self, tag: Fields) -> bytes:
        """Its KeyValue message."""
        known = tuple(tag.items())
        found = self._key_values.get(known)
        if found is None:
            kind = tag.get(_TAG_TYPE, _STRING)
            found = _key_value(tag[_TAG_KEY], kind, _value(tag))
            # 0.0 and -0.0 are equal, and encoded differently.
            if kind != _DOUBLE:
                self._key_values[known] = found
        return found


def _key_value(key: bytes, kind: int, value: Any) -> bytes:
    """The KeyValue message."""
    return field(1, _utf8(key)) + field(2, _any_value(kind, value))


def _value(tag: Fields) -> Any:
    """Of the type that the tag says; what it does not carry is that type's nothing. Raises TypeError."""
    kind = tag.get(_TAG_TYPE, 0)
    if kind not in range(len(_VALUE_TYPES)):
        raise TypeError(f"there is no tag type {kind}")
    value = tag.get(_TAG_VALUES + kind, _NO_VALUE[kind])
    if type(value) is not _VALUE_TYPES[kind]:
        raise TypeError("a tag's value is not of its type")
    return value


def _any_value(kind: int, value: Any) -> bytes:
    if kind == _DOUBLE:
        return b"\x21" + _double(value)
    if kind == _BOOL:
        return b"\x10\x01" if value else b"\x10\x00"
    if kind == _LONG:
        return b"\x18" + varint(value & _UINT64)
    return field(7, value) if kind == _BINARY else field(1, _utf8(value))


def _utf8(text: bytes) -> bytes:
    """The text as it is, or with what is no UTF-8 replaced: one broken tag must not cost a span."""
    try:
        text.decode()
    except UnicodeDecodeError:
        return text.decode(errors="replace").encode()
    return text


def _span_id(signed: int) -> bytes:
    return (signed & _UINT64).to_bytes(8, "big")


def _trace_id(high: int | None, low: int) -> bytes:
    return _span_id(high or 0) + _span_id(low)


def _parent_and_links(span: Fields, trace_id: bytes) -> tuple[bytes, list[bytes]]:
    """The parent's id (empty for none), and a Link message for every other reference."""
    parent = span.get(4) or 0
    links = []
    for ref in span.get(6) or ():
        of_trace, span_id = _trace_id(ref.get(3), ref[2]), ref[4]
        is_child = ref.get(1) != _FOLLOWS_FROM
        if is_child and of_trace == trace_id and parent in (0, span_id):
            parent = span_id
        else:
            links.append(_link(of_trace, span_id, b"child_of" if is_child else b"follows_from"))
    return _span_id(parent) if parent else b"", links


def _link(trace_id: bytes, span_id: int, ref_type: bytes) -> bytes:
    attribute = _key_value(REF_TYPE_KEY, _STRING, ref_type)
    return field(1, trace_id) + field(2, _span_id(span_id)) + field(4, attribute)


def _is_http_error(status: int, kind: int) -> bool:
    """As OpenTelemetry's conventions have it: a server is not to blame for what its client asked."""
    return status >= (_SERVER_ERROR_MIN if kind == SERVER else _CLIENT_ERROR_MIN)


def _status(code: int, message: bytes) -> bytes:
    text = field(2, message) if message else b""
    return text + (b"\x18" + varint(code) if code else b"")


def _scope(name: bytes, version: bytes) -> bytes:
    fields = [field(at, text) for at, text in ((1, name), (2, version)) if text]
    return field(1, b"".join(fields)) if fields else b""
