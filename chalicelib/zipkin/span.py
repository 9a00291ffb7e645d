"""Stored spans as Zipkin's model has them: what came as Zipkin's as it came, all else by OpenTelemetry's mapping.

Sources: openzipkin/zipkin, Span.java, Endpoint.java; opentelemetry-specification, trace/sdk_exporters/
zipkin.md; opentelemetry-collector-contrib, pkg/translator/zipkin (links, trace state).
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_address
from typing import TYPE_CHECKING, NamedTuple

import orjson
from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans

from chalicelib.model import zipkin as model
from chalicelib.model.attribute import key_and_text, string_form
from chalicelib.model.peers import peer_of
from chalicelib.model.span import CALLER_KINDS, INTERNAL, KIND_NAMES, STATUS_ERROR
from chalicelib.model.units import MICRO_NANO
from chalicelib.present.message import message_of
from chalicelib.present.otlp_json import DECODED_MAX

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from opentelemetry.proto.common.v1.common_pb2 import KeyValue
    from opentelemetry.proto.trace.v1.trace_pb2 import Span as SpanMessage

    from chalicelib.model.span import Scope, Span

_STATUS_OK = 1
_PORT_MAX = 0xFFFF
_JAEGER_DEBUG = "jaeger.debug"
_PEER_IPS = ("network.peer.address", "net.peer.ip", "net.sock.peer.addr")
_PEER_PORTS = ("network.peer.port", "net.peer.port", "net.sock.peer.port", "server.port")
_PEER_KEYS = frozenset([*_PEER_IPS, *_PEER_PORTS])
_KINDS = ("", "", *(name.upper() for name in KIND_NAMES[2:]))
"""The kinds by OTLP's number; Zipkin has none that is internal."""
TOLD_TAGS = ("error", "otel.", "span.kind", model.TRACE_STATE, "otlp.link.")
"""How the keys of tags may begin that tell of fields, not of attributes."""


class Endpoint(NamedTuple):
    """A side of a call. Zipkin's Endpoint, whose service name is in lower case."""

    service_name: str = ""
    ipv4: str = ""
    ipv6: str = ""
    port: int = 0
    """0 for none."""


NO_ENDPOINT = Endpoint()


class ZipkinSpan(NamedTuple):
    """Zipkin's Span. A text is empty, and a number 0, where Zipkin has null."""

    trace_id: str
    parent_id: str
    id: str
    kind: str
    name: str
    """The span's name in lower case."""
    timestamp: int
    """µs since the epoch."""
    duration: int
    """µs."""
    local_endpoint: Endpoint
    remote_endpoint: Endpoint
    annotations: Sequence[tuple[int, str]]
    """(µs since the epoch, value), sorted, without copies."""
    tags: Mapping[str, str]
    debug: bool
    shared: bool


class _Shared(NamedTuple):
    """What the spans of a scope have in common."""

    is_zipkin: bool
    local_endpoint: Endpoint
    tags: dict[str, str]
    """The resource's tags."""
    scope_tags: dict[str, str]
    """What tells of the scope's fields."""


class _Texts(dict[bytes, tuple[str, str]]):
    """KeyValue wire bytes → key and string form."""

    def __missing__(self, raw: bytes) -> tuple[str, str]:
        if len(self) >= DECODED_MAX:
            self.clear()
        key, text = key_and_text(raw)
        found = self[raw] = key.decode(), text.decode()
        return found


class _Reader:
    """Decodes each scope and each attribute once."""

    def __init__(self) -> None:
        self._shared: dict[Scope, _Shared] = {}
        self._shared_tags = 0
        self._texts = _Texts()

    def span(self, span: Span) -> ZipkinSpan:
        """The span in Zipkin's model."""
        shared = self._shared.get(span.scope) or self._of_scope(span.scope)
        texts = list(map(self._texts.__getitem__, span.attributes))
        message = message_of(span)
        events = message.events if span.raw_events else ()
        if shared.is_zipkin:
            own, tags = _split(texts)
            remote = _endpoint(own, model.PEER_SERVICE, model.REMOTE_KEYS)
            annotations = [(event.time_unix_nano, event.name) for event in events]
        else:
            own, tags = {}, dict(texts)
            remote = _remote(span, tags)
            annotations = [(event.time_unix_nano, _event_text(event)) for event in events]
            if _JAEGER_DEBUG in tags:
                own[model.DEBUG] = tags.pop(_JAEGER_DEBUG)
            tags = {**shared.tags, **tags, **shared.scope_tags, **_tags_from_fields(span, message)}
            if not span.is_error:
                # It would be one for Zipkin, of whatever value.
                tags.pop("error", None)
        kind, timestamp = _KINDS[span.kind], span.start_time_unix_nano // MICRO_NANO
        debug = is_shared = False
        if own:
            kind = "" if model.NO_KIND in own else kind
            timestamp = 0 if model.NO_TIMESTAMP in own else timestamp
            debug, is_shared = own.get(model.DEBUG) == "true", own.get(model.SHARED) == "true"
        # By position, for this is done for each span: the order is ZipkinSpan's.
        return ZipkinSpan(
            trace_id_text(span.trace_id),
            span.parent_span_id.hex(),
            span.span_id.hex(),
            kind,
            span.name.lower(),
            timestamp,
            # Zipkin's 0 is none, and its least is 1.
            max(1, span.duration_nano // MICRO_NANO) if span.duration_nano else 0,
            shared.local_endpoint,
            remote,
            _annotations(annotations) if annotations else (),
            tags,
            debug,
            is_shared,
        )

    def _of_scope(self, scope: Scope) -> _Shared:
        of_resource = dict(map(self._texts.__getitem__, sorted(scope.resource_attributes)))
        told = ScopeSpans.FromString(scope.scope_head).scope
        names = {"otel.scope.name": told.name, "otel.scope.version": told.version}
        is_zipkin = told.name == model.SCOPE_NAME
        if not is_zipkin:
            of_resource[model.SERVICE_NAME] = scope.service
        local = _endpoint(of_resource, model.SERVICE_NAME, model.LOCAL_KEYS)
        for key in (model.SERVICE_NAME, *model.LOCAL_KEYS):
            of_resource.pop(key, None)
        scope_tags = {key: name for key, name in names.items() if name}
        if self._shared_tags >= DECODED_MAX:
            self._shared.clear()
            self._shared_tags = 0
        self._shared_tags += len(of_resource)
        found = self._shared[scope] = _Shared(is_zipkin, local, of_resource, scope_tags)
        return found


def zipkin_spans(spans: Iterable[Span]) -> Iterator[ZipkinSpan]:
    """The spans in Zipkin's model one by one, in their order."""
    return map(_Reader().span, spans)


def trace_id_text(trace_id: bytes) -> str:
    """16 digits where the high half is zero: to Zipkin, one that was sent so and one that was padded are the same."""
    return trace_id[8:].hex() if trace_id.startswith(bytes(8)) else trace_id.hex()


def _split(texts: Sequence[tuple[str, str]]) -> tuple[dict[str, str], dict[str, str]]:
    """Own attributes and tags, as `model/zipkin.py` orders them."""
    own: dict[str, str] = {}
    for place, (key, text) in enumerate(texts):
        if key == model.TAGS:
            return own, dict(texts[place + 1 :])
        if key not in model.OWN_KEYS:
            return own, dict(texts[place:])
        own[key] = text
    return own, {}


def _endpoint(texts: Mapping[str, str], name_key: str, keys: Sequence[str]) -> Endpoint:
    """The endpoint that attributes tell of; `keys` are those of its IPv4 and IPv6 address and of its port."""
    ips = {4: "", 6: ""}
    for key in keys[:2]:
        if (text := texts.get(key)) and (address := _address(text)):
            version, ip = address
            ips[version] = ip
    name, port = texts.get(name_key, "").lower(), _port(texts.get(keys[2], ""))
    found = Endpoint(service_name=name, ipv4=ips[4], ipv6=ips[6], port=port)
    return found if any(found) else NO_ENDPOINT


@lru_cache(maxsize=4_096)
def _address(text: str) -> tuple[int, str] | None:
    """(4 or 6, the address); None for none.

    Attributes may also have the path of a socket there, or a host's name: a reader in Go would refuse the whole trace.
    """
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return address.version, str(address)


def _port(text: str) -> int:
    is_port = text.isascii() and text.isdecimal() and len(text) <= 5 and int(text) <= _PORT_MAX
    return int(text) if is_port else 0


def _remote(span: Span, tags: Mapping[str, str]) -> Endpoint:
    """The service that the span calls, by the name that it has as an edge too."""
    name = tags.get(model.PEER_SERVICE, "")
    if span.kind in CALLER_KINDS and (peer := peer_of(span.attributes)):
        name = peer.name
    if _PEER_KEYS.isdisjoint(tags):
        return Endpoint(name.lower()) if name else NO_ENDPOINT
    ip = next((tags[key] for key in _PEER_IPS if key in tags and _address(tags[key])), "")
    port = next((tags[key] for key in _PEER_PORTS if tags.get(key)), "")
    if not name and not ip:
        return NO_ENDPOINT
    texts = {model.PEER_SERVICE: name, "net.peer.ip": ip, "net.peer.port": port}
    return _endpoint(texts, model.PEER_SERVICE, model.REMOTE_KEYS)


def _tags_from_fields(span: Span, message: SpanMessage) -> dict[str, str]:
    """Tags for what Zipkin has no fields for."""
    tags = {}
    if span.kind == INTERNAL:
        tags["span.kind"] = KIND_NAMES[INTERNAL]
    if message.HasField("status"):
        if message.status.code == STATUS_ERROR:
            tags["otel.status_code"] = "ERROR"
            tags["error"] = message.status.message or "true"
        elif message.status.code == _STATUS_OK:
            tags["otel.status_code"] = "OK"
    if message.trace_state:
        tags[model.TRACE_STATE] = message.trace_state
    for key, count in (
        ("otel.dropped_attributes_count", message.dropped_attributes_count),
        ("otel.dropped_events_count", message.dropped_events_count),
        ("otel.dropped_links_count", message.dropped_links_count),
    ):
        if count:
            tags[key] = str(count)
    for place, link in enumerate(message.links if span.raw_links else ()):
        parts = (
            *(link.trace_id.hex(), link.span_id.hex(), link.trace_state),
            *(_json_text(link.attributes), str(link.dropped_attributes_count)),
        )
        tags[f"otlp.link.{place}"] = "|".join(parts)
    return tags


def _event_text(event: SpanMessage.Event) -> str:
    if not event.attributes:
        return event.name
    return f"{orjson.dumps(event.name).decode()}:{_json_text(event.attributes)}"


def _json_text(attributes: Iterable[KeyValue]) -> str:
    return orjson.dumps({each.key: string_form(each.value) for each in attributes}).decode()


def _annotations(found: Iterable[tuple[int, str]]) -> list[tuple[int, str]]:
    """Sorted, copies left out."""
    return sorted({(time_nano // MICRO_NANO, text) for time_nano, text in found})
