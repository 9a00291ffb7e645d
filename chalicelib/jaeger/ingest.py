"""Jaeger's Thrift batches → payloads: the bytes of OTLP are joined from the batch's own, nothing in between.

    body ──payload_from_binary──┐
    datagram ──payload_from_call┴──▶ Normalised(payload, span_count, rejected)

What OpenTelemetry has a field for becomes that field (kind, status, trace state, scope, the event's name); every other
tag is an attribute under its own key. Numbers of fields: jaeger-idl, thrift/jaeger.thrift. Mapping:
opentelemetry-collector-contrib, pkg/translator/jaeger; an `error` that is text counts as it does in jaeger-ui.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from operator import itemgetter
from struct import Struct
from struct import error as StructError
from typing import TYPE_CHECKING, Any, NamedTuple

from chalicelib.errors import InvalidPayload
from chalicelib.model.span import CLIENT, CONSUMER, INTERNAL, PRODUCER, SERVER, STATUS_ERROR
from chalicelib.model.units import MICRO_NANO
from chalicelib.model.wire import field, varint
from chalicelib.receive.otlp import Normalised, check_span_count, payload_from_protobuf
from chalicelib.receive.thrift import binary_struct, call

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chalicelib.receive.thrift import Fields, Structs

_PROCESS, _SPANS = 1, 2
"""Fields of a Batch."""
_STRING, _DOUBLE, _BOOL, _LONG, _BINARY = range(5)
"""A tag's type (field 2); its value is in the field of that number, counted from 3."""
_TAG_KEY, _TAG_TYPE, _TAG_VALUES = 1, 2, 3
_VALUE_TYPES: tuple[type, ...] = (bytes, float, bool, int, bytes)
_NO_VALUE: tuple[Any, ...] = (b"", 0.0, False, 0, b"")
_FOLLOWS_FROM = 1
_SAMPLED, _DEBUG = 1, 2
_STATUS_OK = 1
_UINT64 = 2**64 - 1
_SERVER_ERROR_MIN, _CLIENT_ERROR_MIN, _HTTP_STATUS_MIN = 500, 400, 100
_INTEGER = re.compile(rb"[+-]?\d{1,18}")
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
_ERROR, _STATUS_CODE, _KIND = b"error", b"otel.status_code", b"span.kind"
_STATUS_CODES = {b"ERROR": STATUS_ERROR, b"OK": _STATUS_OK}
_HTTP_STATUS_KEYS = (b"http.status_code", b"http.response.status_code")
_HTTP_MESSAGE = b"http.status_message"
_TOLD_KEYS = frozenset(
    [_KIND, _STATUS_CODE, _ERROR, *_HTTP_STATUS_KEYS, _HTTP_MESSAGE, *_TEXT_FIELDS]
)
_fixed64, _double = Struct("<Q").pack, Struct("<d").pack
_DEBUG_ATTRIBUTE = field(1, DEBUG_KEY) + field(2, b"\x10\x01")
_FLAG_SAMPLED = b"\x85\x01\x01\x00\x00\x00"


def payload_from_binary(body: bytes) -> Normalised:
    """The payload of a Batch in Thrift's binary protocol, as it comes over HTTP.

    Raises InvalidPayload if it is none, or names no process; PayloadTooLarge for too many spans. Spans without ids, or
    that could not be stored, are counted as rejected.
    """
    return _payload(binary_struct(body, _SPANS, _written))


def payload_from_call(datagram: bytes) -> Normalised:
    """The payload of an `emitBatch` call in either protocol, as it comes to an agent. Raises as `payload_from_binary`
    does."""
    name, arguments = call(datagram)
    batch = arguments.get(1)
    if name != b"emitBatch" or not isinstance(batch, dict):
        raise InvalidPayload(f"an agent takes emitBatch, not {name!r:.100}")
    return _payload(batch)


class _Written(NamedTuple):
    """A batch's spans in OTLP's bytes."""

    writer: _Writer
    by_scope: dict[bytes, list[bytes]]
    """Scope → spans, as fields of ScopeSpans."""
    rejected: Counter[str]


def _payload(batch: Fields) -> Normalised:
    process, spans = batch.get(_PROCESS), batch.pop(_SPANS, None) or []
    if not isinstance(process, dict) or not isinstance(spans, list | _Written):
        raise InvalidPayload("the batch has no process, and so no service name")
    written = spans if isinstance(spans, _Written) else _written(spans)
    try:
        head = field(1, written.writer.resource(process))
    except (LookupError, TypeError, AttributeError) as error:
        raise InvalidPayload("the batch's process has a field of the wrong type") from error
    scopes = [field(2, scope + b"".join(raws)) for scope, raws in written.by_scope.items()]
    normalised = payload_from_protobuf(field(1, head + b"".join(scopes)))
    return normalised._replace(rejected=normalised.rejected + written.rejected)


def _written(spans: Structs | list[Any]) -> _Written:
    check_span_count(len(spans))
    written = _Written(_Writer(), defaultdict(list), Counter())
    write, by_scope = written.writer.span, written.by_scope
    for span in spans:
        try:
            scope, raw = write(span)
        except (LookupError, TypeError, AttributeError, StructError):
            written.rejected["a field is missing, or has the wrong type"] += 1
        else:
            by_scope[scope].append(field(2, raw))
    return written


class _ParsedTags(NamedTuple):
    """What a span's tags say of its own fields; the rest are attributes."""

    kind: int
    status: bytes
    """The Status message."""
    scope: bytes
    """The scope as a field of ScopeSpans; empty for none."""
    trace_state: bytes
    attributes: list[bytes]
    """KeyValue messages."""


@dataclass(slots=True)
class _StatusTags:
    """What tags say of a span's status: `error` before a status code, and that before HTTP's."""

    is_error: bool = False
    code: int | None = None
    """0 for one that is said to be unset, or that nobody knows."""
    http_status: int | None = None
    http_message: bytes = b""

    def tells(self, key: bytes, value: Any) -> bool:
        """Take a tag; whether it has become the status, and is no attribute."""
        if key == _ERROR:
            is_true = value is True or (isinstance(value, bytes) and value.lower() == b"true")
            self.is_error |= is_true
            return is_true
        if key == _STATUS_CODE:
            self.code = _status_code(value)
            return self.code != 0
        if key in _HTTP_STATUS_KEYS:
            self.http_status = _integer(value)
        elif key == _HTTP_MESSAGE and isinstance(value, bytes):
            self.http_message = _utf8(value)
        return False

    def message_of(self, kind: int, description: bytes) -> bytes:
        """The Status message of a span of this kind; empty for none."""
        code = STATUS_ERROR if self.is_error else self.code
        if code is None:
            code = STATUS_ERROR if _is_http_error(self.http_status, kind) else 0
        if code == STATUS_ERROR and (self.is_error or self.code is None):
            description = description or self.http_message
        return _status(code, description)


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
        start = max(0, span[8]) * MICRO_NANO
        end = start + max(0, span.get(9) or 0) * MICRO_NANO
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

    def _told(self, tags: Sequence[Fields]) -> _ParsedTags:
        texts: dict[str, bytes] = {}
        attributes: list[bytes] = []
        kind, status = 0, _StatusTags()
        for tag in tags:
            key = tag[_TAG_KEY]
            if key not in _TOLD_KEYS:
                attributes.append(self._tag(tag))
                continue
            value = _value(tag)
            if key == _KIND and value in _KINDS:
                kind = _KINDS[value]
            elif key in _TEXT_FIELDS and isinstance(value, bytes):
                texts[_TEXT_FIELDS[key]] = _utf8(value)
            elif not status.tells(key, value):
                attributes.append(self._tag(tag))
        return _ParsedTags(
            kind,
            status.message_of(kind, texts.get("status_message", b"")),
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
        time = b"\x09" + _fixed64(max(0, log[1]) * MICRO_NANO & _UINT64)
        return time + (field(2, name) if name else b"") + b"".join(attributes)

    def _tag(self, tag: Fields) -> bytes:
        """A tag as a KeyValue message."""
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
    """The value of a tag, of the type that it says; what it does not carry is that type's zero. Raises TypeError."""
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
    """The parent's id (empty for none), and a Link message for every reference that is not told by it alone.

    Where the span's field has none, the parent is that of its trace which it is a child of, else which it follows from.
    """
    refs = [
        (_trace_id(ref.get(3), ref[2]), ref[4], ref.get(1) != _FOLLOWS_FROM)
        for ref in span.get(6) or ()
    ]
    parent = span.get(4) or 0
    if not parent and refs:
        own = [
            (not is_child, span_id)
            for of_trace, span_id, is_child in refs
            if of_trace == trace_id and span_id not in (0, span[3])
        ]
        # Python's min takes the first of several that are equal.
        parent = min(own, key=itemgetter(0), default=(False, 0))[1]
    links = [
        _link(of_trace, span_id, b"child_of" if is_child else b"follows_from")
        for of_trace, span_id, is_child in refs
        if not (is_child and (of_trace, span_id) == (trace_id, parent))
    ]
    return _span_id(parent) if parent else b"", links


def _link(trace_id: bytes, span_id: int, ref_type: bytes) -> bytes:
    attribute = _key_value(REF_TYPE_KEY, _STRING, ref_type)
    return field(1, trace_id) + field(2, _span_id(span_id)) + field(4, attribute)


def _status_code(value: Any) -> int:
    """OTLP's number of a status code, given its name in any case, with or without its prefix, or the number; 0 for an
    unknown one."""
    if isinstance(value, bytes):
        name = value.upper().removeprefix(b"STATUS_CODE_")
        if name in _STATUS_CODES:
            return _STATUS_CODES[name]
    number = _integer(value) or 0
    return number if number in (STATUS_ERROR, _STATUS_OK) else 0


def _integer(value: Any) -> int | None:
    """A number as such, or as text; None for anything else."""
    if type(value) is int:
        return value
    is_number = isinstance(value, bytes) and _INTEGER.fullmatch(value)
    return int(value) if is_number else None


def _is_http_error(status: int | None, kind: int) -> bool:
    """Whether an HTTP status is an error by OpenTelemetry's conventions: a server is not to blame for what its client
    asked."""
    if status is None or _HTTP_STATUS_MIN <= status < _CLIENT_ERROR_MIN:
        return False
    return kind != SERVER or not _CLIENT_ERROR_MIN <= status < _SERVER_ERROR_MIN


def _status(code: int, message: bytes) -> bytes:
    text = field(2, message) if message else b""
    return text + (b"\x18" + varint(code) if code else b"")


def _scope(name: bytes, version: bytes) -> bytes:
    fields = [field(at, text) for at, text in ((1, name), (2, version)) if text]
    return field(1, b"".join(fields)) if fields else b""
