"""Zipkin's spans → payloads: the bytes of OTLP are joined from what was sent, nothing in between.

    JSON ──────────────────────▶ dicts ──┐
    proto3 ──ListOfSpans──────▶ dicts ──┤
    v1 (JSON, Thrift) ─zipkin_v1▶ dicts ──┴──payload_of──▶ Normalised(payload, span_count, rejected)

What OpenTelemetry has no field for is kept as `model/zipkin.py` says. A span without a kind that names both endpoints
is a client's, as Zipkin's DependencyLinker takes it. A bad span is rejected alone, in the words of
Zipkin; a request without a good one is refused with the words of its first. Source: openzipkin/zipkin,
internal/V2SpanReader.java, internal/Proto3ZipkinFields.java.
"""

from __future__ import annotations

from collections import Counter
from struct import Struct
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from google.protobuf.message import DecodeError

from chalicelib import config
from chalicelib.errors import InvalidPayload, PayloadTooLarge
from chalicelib.model import zipkin as model
from chalicelib.model import zipkin_spans_pb2 as proto
from chalicelib.model.span import CLIENT, CONSUMER, PRODUCER, SERVER, STATUS_ERROR
from chalicelib.model.units import MICRO_NANO
from chalicelib.model.wire import Prefixes, field, varint
from chalicelib.receive.bounds import SENT_BYTES_MAX, has_more_fields
from chalicelib.receive.otlp import Normalised, payload_from_protobuf
from chalicelib.receive.pieces import piece_done
from chalicelib.zipkin.fields import (
    TIME_MICRO_MAX,
    ZERO_ID,
    Fault,
    address_text,
    endpoint_of,
    flag_of,
    incomplete_annotation,
    span_id_of,
    text_of,
    time_of,
    trace_id_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from chalicelib.receive.json_parts import Documents

Json = dict[str, Any]

_REMEMBERED_MAX = 20_000
_STATUS_OK = 1
_MALFORMED = "Malformed"
_UNTIMED_ANNOTATIONS_MAX = 1_000
"""The most annotations without a time of a span in proto3. Zipkin reads none of these, and an empty one takes two
bytes."""
_ANNOTATION_BYTES_MIN = 11
"""The least bytes of an annotation in proto3 that has a time."""
_TOO_LARGE = f"a span may have {config.SPAN_BYTES_MAX} bytes"
_SCOPE = field(1, field(1, model.SCOPE_NAME.encode()))
_KIND_FIELDS = {
    None: b"",
    "CLIENT": b"\x30" + varint(CLIENT),
    "SERVER": b"\x30" + varint(SERVER),
    "PRODUCER": b"\x30" + varint(PRODUCER),
    "CONSUMER": b"\x30" + varint(CONSUMER),
}
_PROTO_KINDS = (None, "CLIENT", "SERVER", "PRODUCER", "CONSUMER")
_times = Struct("<BQBQ").pack
_START_TAG, _END_TAG = 7 << 3 | 1, 8 << 3 | 1
_fixed64 = Struct("<Q").pack
_span_prefixes = _value_prefixes = Prefixes(2)
_string_prefixes, _attribute_prefixes = Prefixes(1), Prefixes(9)


def payload_from_json(body: bytes) -> Normalised:
    """The payload of a JSON array of spans; an empty body is an empty one.

    Raises InvalidPayload if it is none, or holds no good span; PayloadTooLarge for too many.
    """
    if not body:
        return Normalised(b"", 0, Counter())
    spans = json_list(body, "JSON_V2")
    if b'yAnnotations"' in body and any("binaryAnnotations" in each for each in _dicts(spans)):
        raise InvalidPayload("Expected a JSON_V2 encoded list, but received: JSON_V1")
    return payload_of(spans, "json")


def json_list(body: bytes, version: str) -> Documents:
    """Raises InvalidPayload if it is no array, PayloadTooLarge for too many values or spans."""
    # It costs a cold start, and senders of proto3 never need it.
    from chalicelib.receive.json_parts import (
        Documents,
        array_of,
        check_structure,
        without_lone_surrogates,
    )

    if body.lstrip()[:1] != b"[":
        raise InvalidPayload(f"Expected a {version} encoded list")
    check_structure(body)
    try:
        texts = array_of(without_lone_surrogates(body))
    except InvalidPayload as error:
        raise InvalidPayload("Malformed reading List<Span> from json") from error
    check_span_count(len(texts))
    return Documents(texts)


def _dicts(spans: Iterable[Any]) -> Iterator[Json]:
    return (each for each in spans if isinstance(each, dict))


def payload_from_proto(body: bytes) -> Normalised:
    """The payload of a ListOfSpans. Raises as `payload_from_json` does."""
    if has_more_fields(body, config.SPANS_PER_REQUEST_MAX):
        raise PayloadTooLarge(
            f"the request has more than {config.SPANS_PER_REQUEST_MAX} spans: send smaller batches"
        )
    try:
        raw_spans = proto.ListOfSpans.FromString(body).spans[:]
    except DecodeError as error:
        raise InvalidPayload("Malformed reading List<Span> from proto3") from error
    check_span_count(len(raw_spans))
    spans = _SpansFromProto(raw_spans)
    return payload_of(spans, "proto3", spans.rejected)


class _SpansFromProto:
    """Spans as Zipkin's JSON has them, made anew at every turn: their dicts are many times larger than their bytes."""

    def __init__(self, raws: Sequence[bytes]) -> None:
        self._raws = raws
        self.rejected: Counter[str] = Counter()
        """The spans that were left out at the last turn, by reason."""

    def __iter__(self) -> Iterator[Json | None]:
        self.rejected.clear()
        for raw in self._raws:
            piece_done(len(raw))
            if len(raw) > SENT_BYTES_MAX:
                self.rejected[_TOO_LARGE] += 1
                continue
            try:
                span = proto.Span.FromString(raw)
            except DecodeError:
                yield None
                continue
            annotations_max = _UNTIMED_ANNOTATIONS_MAX + len(raw) // _ANNOTATION_BYTES_MIN
            if len(span.annotations) > annotations_max:
                self.rejected["most of its annotations have no timestamp"] += 1
                continue
            yield _span_from_proto(span)


def _span_from_proto(span: proto.Span) -> Json:
    """The span as Zipkin's JSON has it."""
    return {
        "traceId": span.trace_id.hex() or None,
        "id": span.id.hex() or None,
        "parentId": span.parent_id.hex() or None,
        "kind": _PROTO_KINDS[span.kind] if 0 <= span.kind < len(_PROTO_KINDS) else None,
        "name": span.name,
        "timestamp": span.timestamp,
        "duration": span.duration,
        "localEndpoint": _endpoint_from_proto(span.local_endpoint),
        "remoteEndpoint": _endpoint_from_proto(span.remote_endpoint),
        # Zipkin's own reader leaves out what has no time.
        "annotations": [
            {"timestamp": each.timestamp, "value": each.value}
            for each in span.annotations
            if each.timestamp
        ],
        # A protobuf map has no order: the same bytes must make the same payload.
        "tags": dict(sorted(span.tags.items())),
        "debug": span.debug,
        "shared": span.shared,
    }


def _endpoint_from_proto(endpoint: proto.Endpoint) -> Json | None:
    if not endpoint.ByteSize():
        return None
    return {
        "serviceName": endpoint.service_name,
        "ipv4": address_text(endpoint.ipv4),
        "ipv6": address_text(endpoint.ipv6),
        "port": endpoint.port,
    }


def payload_of(spans: Iterable[Any], form: str, rejected: Counter[str] | None = None) -> Normalised:
    """The payload of spans as Zipkin's second JSON has them: `spans` are gone through again if some have no time.

    `rejected` has the bad ones that are left out of them, at the end of each time. Raises InvalidPayload if there are
    only bad ones, PayloadTooLarge for too many.
    """
    writer = _Writer()
    for place, span in enumerate(spans):
        if place >= config.SPANS_PER_REQUEST_MAX:
            check_span_count(place + 1)
        writer.add(span, place)
    writer.add_untimed(spans)
    writer.rejected = (rejected or Counter()) + writer.rejected
    if writer.rejected and not writer.span_count:
        raise InvalidPayload(f"{next(iter(writer.rejected))} reading List<Span> from {form}")
    normalised = payload_from_protobuf(writer.payload())
    return normalised._replace(rejected=writer.rejected + normalised.rejected)


def check_span_count(span_count: int) -> None:
    if span_count > config.SPANS_PER_REQUEST_MAX:
        raise PayloadTooLarge(
            f"the request has {span_count} spans, the limit is {config.SPANS_PER_REQUEST_MAX}: send smaller batches"
        )


class _Group(NamedTuple):
    """The spans of one local endpoint."""

    head_bytes: int
    parts: list[bytes]
    """The parts of ScopeSpans: tags with lengths, and Span messages, in turn."""


Key = TypeVar("Key")
Value = TypeVar("Value")


class Remembered(dict[Key, Value]):
    """What was found before, forgotten when it is too much: what a sender makes up costs time, not memory."""

    def __setitem__(self, key: Key, value: Value) -> None:
        if len(self) >= _REMEMBERED_MAX:
            self.clear()
        super().__setitem__(key, value)


class _Writer:
    """Encodes spans; what repeats within a request is encoded once."""

    def __init__(self) -> None:
        self.rejected: Counter[str] = Counter()
        self.span_count = 0
        self._untimed: set[int] = set()
        """Their places."""
        self._firsts: dict[str, int] = {}
        """Trace id as sent → when its first span starts, of those that say so."""
        self._groups: dict[bytes, _Group] = {}
        """The groups by the fields of ResourceSpans other than scope_spans."""
        self._group_of: dict[tuple[Any, ...], _Group] = Remembered()
        """The groups by the local endpoint as sent."""
        self._remotes: dict[tuple[Any, ...], bytes] = Remembered()
        self._ids: dict[str, bytes] = Remembered()
        self._names: dict[Any, bytes] = Remembered()
        self._keys: dict[str, bytes] = Remembered()
        self._tags: dict[tuple[str, Any], bytes] = {}

    def payload(self) -> bytes:
        if not self.span_count:
            return b""
        return b"".join(
            field(1, head + field(2, _SCOPE + b"".join(group.parts)))
            for head, group in self._groups.items()
            if group.parts
        )

    def add(self, span: Any, place: int) -> None:
        """`place` is that in the list, for error messages."""
        try:
            start = time_of(span.get("timestamp"))
            if start:
                trace_id = span.get("traceId")
                if type(span["timestamp"]) is int and isinstance(trace_id, str):
                    self._firsts[trace_id] = min(start, self._firsts.get(trace_id, start))
                self._write(span, place, start, is_timed=True)
            elif start := min(filter(None, _annotation_times(span)), default=0):
                self._write(span, place, start, is_timed=False)
            else:
                self._untimed.add(place)
        except Fault as fault:
            self.rejected[str(fault)] += 1
        except (AttributeError, TypeError, KeyError, ValueError):
            self.rejected[_MALFORMED] += 1

    def add_untimed(self, spans: Iterable[Any]) -> None:
        """Add the spans without any time: they start with their trace, as far as it is in the request."""
        if not self._untimed:
            return
        firsts = self._firsts
        first = min(firsts.values(), default=0)
        for place, span in enumerate(spans):
            if place not in self._untimed:
                continue
            trace_id = span.get("traceId")
            start = firsts.get(trace_id, first) if isinstance(trace_id, str) else first
            try:
                self._write(span, place, start, is_timed=False)
            except Fault as fault:
                self.rejected[str(fault)] += 1
            except (AttributeError, TypeError, KeyError, ValueError):
                self.rejected[_MALFORMED] += 1

    def _write(self, span: Json, place: int, start: int, *, is_timed: bool) -> None:
        get = span.get
        end = start + time_of(get("duration"))
        if end > TIME_MICRO_MAX:
            raise Fault("the span ends after 2554")
        kind = get("kind")
        if kind not in _KIND_FIELDS:
            raise Fault(f"No enum constant zipkin2.Span.Kind.{kind!s:.64}")
        trace_id, span_id = get("traceId"), get("id")
        if trace_id is None or span_id is None:
            missing = (" traceId" if trace_id is None else "") + (" id" if span_id is None else "")
            raise Fault(f"Missing :{missing}")
        own_id = span_id_of(span_id, "id")
        parts = [self._ids.get(trace_id) or self._trace_id(trace_id), b"\x12\x08", own_id]
        tags = get("tags") or _NO_TAGS
        if model.TRACE_STATE in tags:
            parts.append(field(3, text_of(tags[model.TRACE_STATE]).encode()))
        parent = get("parentId")
        if parent is not None:
            parent_id = span_id_of(parent, "parentId")
            # As Zipkin does: a span is not its own parent.
            if parent_id not in (own_id, ZERO_ID):
                parts += (b"\x22\x08", parent_id)
        is_kindless_client = kind is None and _names_both(span)
        parts += (
            self._names.get(get("name")) or self._name(get("name")),
            _KIND_FIELDS["CLIENT" if is_kindless_client else kind],
            _times(_START_TAG, start * MICRO_NANO, _END_TAG, end * MICRO_NANO),
        )
        parts += self._own_attributes(span, is_shared=kind != "CLIENT" and flag_of(get("shared")))
        if not is_timed:
            parts.append(_NO_TIMESTAMP)
        if is_kindless_client:
            parts.append(_NO_KIND)
        if not model.OWN_KEYS.isdisjoint(tags):
            parts.append(_TAGS_FOLLOW)
        known = self._tags
        for tag in tags.items():
            parts.append(known.get(tag) or self._tag(tag, place))
        if annotations := get("annotations"):
            parts += [_event(each, (place, nth)) for nth, each in enumerate(annotations)]
        parts.append(_status(tags))
        self._put(b"".join(parts), len(tags), get("localEndpoint"))

    def _put(self, raw: bytes, tag_count: int, local: Any) -> None:
        if tag_count > config.ATTRIBUTES_PER_SPAN_MAX - len(model.OWN_KEYS):
            raise Fault(f"a span may have {config.ATTRIBUTES_PER_SPAN_MAX} attributes")
        group = self._group(local)
        if group.head_bytes + len(raw) > config.SPAN_BYTES_MAX:
            raise Fault(_TOO_LARGE)
        group.parts.extend((_span_prefixes[len(raw)], raw))
        self.span_count += 1

    def _group(self, local: Any) -> _Group:
        key = tuple(local.items()) if local else ()
        group = self._group_of.get(key)
        if group is None:
            head = _resource(local) if local else b""
            group = self._groups.setdefault(head, _Group(len(head) + len(_SCOPE), []))
            self._group_of[key] = group
            # A resource and a scope each.
            if len(self._groups) * 2 > config.GROUPS_PER_REQUEST_MAX:
                raise PayloadTooLarge(
                    f"the request has more than {config.GROUPS_PER_REQUEST_MAX // 2} local endpoints"
                )
        return group

    def _own_attributes(self, span: Json, *, is_shared: bool) -> list[bytes]:
        parts = []
        if remote := span.get("remoteEndpoint"):
            key = tuple(remote.items())
            found = self._remotes.get(key)
            if found is None:
                found = self._remotes[key] = _remote(remote)
            parts.append(found)
        if flag_of(span.get("debug")):
            parts.append(_DEBUG)
        if is_shared:
            parts.append(_SHARED)
        return parts

    def _trace_id(self, text: str) -> bytes:
        found = self._ids[text] = field(1, trace_id_of(text))
        return found

    def _name(self, name: Any) -> bytes:
        found = self._names[name] = field(5, text_of(name or "").lower().encode())
        return found

    def _key(self, key: str) -> bytes:
        found = self._keys[key] = field(1, key.encode())
        return found

    def _tag(self, tag: tuple[str, Any], place: int) -> bytes:
        key, value = tag
        if isinstance(value, str):
            head = self._keys.get(key) or self._key(key)
            text = value.encode()
            any_value = _string_prefixes[len(text)] + text
            content = head + _value_prefixes[len(any_value)] + any_value
            found = _attribute_prefixes[len(content)] + content
            # Not a `Remembered`, which would cost as much again where every value is another.
            if len(self._tags) < _REMEMBERED_MAX:
                self._tags[tag] = found
            return found
        if value is None:
            raise Fault(f"No value at $[{place}].tags.{key:.64}")
        return _text_attribute(key, text_of(value))


def _names_both(span: Json) -> bool:
    """Whether both endpoints have a name."""
    ends = span.get("localEndpoint"), span.get("remoteEndpoint")
    return all(end and end.get("serviceName") for end in ends)


def _annotation_times(span: Json) -> Iterator[int]:
    for each in span.get("annotations") or ():
        yield time_of(each.get("timestamp"))


_NO_TAGS: Json = {}


def _attribute(key: str, any_value: bytes) -> bytes:
    """A span's attribute, as a whole field."""
    return field(9, key_value(key, any_value))


def key_value(key: str, any_value: bytes) -> bytes:
    return field(1, key.encode()) + field(2, any_value)


def _text_attribute(key: str, text: str) -> bytes:
    return _attribute(key, field(1, text.encode()))


_TRUE = b"\x10\x01"
_DEBUG = _attribute(model.DEBUG, _TRUE)
_SHARED = field(9, model.SHARED_ATTRIBUTE)
_NO_TIMESTAMP = _attribute(model.NO_TIMESTAMP, _TRUE)
_NO_KIND = _attribute(model.NO_KIND, _TRUE)
_TAGS_FOLLOW = _attribute(model.TAGS, _TRUE)


def _event(annotation: Json, place: tuple[int, int]) -> bytes:
    time, value = annotation.get("timestamp"), annotation.get("value")
    if time is None or value is None:
        raise incomplete_annotation(annotation, *place)
    content = b"\x09" + _fixed64(time_of(time) * MICRO_NANO) + field(2, text_of(value).encode())
    return field(11, content)


def _status(tags: Mapping[str, Any]) -> bytes:
    """An `error` of whatever value is one, for Zipkin; its value is the message."""
    if "error" in tags:
        text = text_of(tags["error"])
        message = field(2, text.encode()) if text not in ("", "true") else b""
        return field(15, message + b"\x18" + varint(STATUS_ERROR))
    code = tags.get("otel.status_code")
    if code == "ERROR":
        return field(15, b"\x18" + varint(STATUS_ERROR))
    return field(15, b"\x18" + varint(_STATUS_OK)) if code == "OK" else b""


def _endpoint_attributes(
    sent: Mapping[str, Any], name_key: str, keys: Sequence[str]
) -> Iterator[bytes]:
    """KeyValue messages."""
    name, ipv4, ipv6, port = endpoint_of(sent)
    for key, text in zip((name_key, *keys[:2]), (name, ipv4, ipv6), strict=True):
        if text:
            yield key_value(key, field(1, text.encode()))
    if port:
        yield key_value(keys[2], b"\x18" + varint(port))


def _resource(local: Mapping[str, Any]) -> bytes:
    attributes = _endpoint_attributes(local, model.SERVICE_NAME, model.LOCAL_KEYS)
    content = b"".join([field(1, each) for each in attributes])
    return field(1, content) if content else b""


def _remote(remote: Mapping[str, Any]) -> bytes:
    attributes = _endpoint_attributes(remote, model.PEER_SERVICE, model.REMOTE_KEYS)
    return b"".join([field(9, each) for each in attributes])
