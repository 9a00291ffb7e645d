"""Spans as Zipkin's JSON has them: what came as Zipkin's as it came, all else by OpenTelemetry's mapping.

Sources: openzipkin/zipkin, Span.java, internal/V2SpanWriter.java; opentelemetry-specification, trace/sdk_exporters/
zipkin.md; opentelemetry-collector-contrib, pkg/translator/zipkin (links, trace state).
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson
from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans

from chalicelib.model import zipkin as model
from chalicelib.model.attribute import key_and_text, string_form
from chalicelib.model.edges import EdgeKind
from chalicelib.model.peers import peer_of
from chalicelib.model.span import CALLER_KINDS, INTERNAL, KIND_NAMES, STATUS_ERROR
from chalicelib.present.message import message_of
from chalicelib.present.otlp_json import DECODED_MAX
from chalicelib.present.stream import form_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from opentelemetry.proto.common.v1.common_pb2 import KeyValue
    from opentelemetry.proto.trace.v1.trace_pb2 import Span as SpanMessage

    from chalicelib.model.edges import CallCounts
    from chalicelib.model.span import Scope, Span
    from chalicelib.present.stream import Form

Json = dict[str, Any]

_MICRO_NANO = 1_000
_STATUS_OK = 1
_PORT_MAX = 0xFFFF
_JAEGER_DEBUG = "jaeger.debug"
_PEER_IPS = ("network.peer.address", "net.peer.ip", "net.sock.peer.addr")
_PEER_PORTS = ("network.peer.port", "net.peer.port", "net.sock.peer.port", "server.port")
_KINDS = ("", "", *(name.upper() for name in KIND_NAMES[2:]))
"""By OTLP's number; Zipkin has none that is internal."""
TOLD_TAGS = ("error", "otel.", "span.kind", model.TRACE_STATE, "otlp.link.")
"""How the keys of tags may begin that tell of fields, not of attributes."""


class _Shared(NamedTuple):
    """What the spans of a scope have in common."""

    is_zipkin: bool
    local_endpoint: Json
    tags: dict[str, str]
    """Of the resource."""
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


class _Writer:
    """Decodes each scope and each attribute once."""

    def __init__(self) -> None:
        self._shared: dict[Scope, _Shared] = {}
        self._shared_tags = 0
        self._texts = _Texts()

    def span(self, span: Span) -> Json:
        shared = self._shared.get(span.scope) or self._of_scope(span.scope)
        texts = list(map(self._texts.__getitem__, span.attributes))
        message = message_of(span)
        found: Json = {"traceId": trace_id_text(span.trace_id)}
        if span.parent_span_id:
            found["parentId"] = span.parent_span_id.hex()
        found["id"] = span.span_id.hex()
        own, tags = _split(texts) if shared.is_zipkin else ({}, dict(texts))
        if (kind := _KINDS[span.kind]) and model.NO_KIND not in own:
            found["kind"] = kind
        if span.name:
            found["name"] = span.name.lower()
        if span.start_time_unix_nano and model.NO_TIMESTAMP not in own:
            found["timestamp"] = span.start_time_unix_nano // _MICRO_NANO
        if span.duration_nano:
            # Zipkin's 0 is none, and its least is 1.
            found["duration"] = max(1, span.duration_nano // _MICRO_NANO)
        if shared.local_endpoint:
            found["localEndpoint"] = shared.local_endpoint
        events = message.events if span.raw_events else ()
        if shared.is_zipkin:
            remote = _endpoint(own, model.PEER_SERVICE, model.REMOTE_KEYS)
            annotations = [(event.time_unix_nano, event.name) for event in events]
        else:
            remote = _remote(span, tags)
            annotations = [(event.time_unix_nano, _event_text(event)) for event in events]
            own = {model.DEBUG: tags.pop(_JAEGER_DEBUG)} if _JAEGER_DEBUG in tags else {}
            tags = {**shared.tags, **tags, **shared.scope_tags, **_told_tags(span, message)}
            if not span.is_error:
                # It would be one for Zipkin, of whatever value.
                tags.pop("error", None)
        if remote:
            found["remoteEndpoint"] = remote
        if annotations:
            found["annotations"] = _annotations(annotations)
        if tags:
            found["tags"] = dict(sorted(tags.items()))
        for key, name in ((model.DEBUG, "debug"), (model.SHARED, "shared")):
            if own.get(key) == "true":
                found[name] = True
        return found

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


def spans_json(spans: Iterable[Span]) -> Iterator[Json]:
    """The spans of a trace one by one, in their order."""
    return map(_Writer().span, spans)


def streamed_trace(spans: Sequence[Span], form: Form | None = None) -> Any:
    """One trace."""
    return (form or form_of(spans)).array(spans_json(spans))


def trace_json(spans: Iterable[Span]) -> list[Json]:
    """The same, at once."""
    return list(spans_json(spans))


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


def _endpoint(texts: Mapping[str, str], name_key: str, keys: Sequence[str]) -> Json:
    """Empty for none."""
    found: Json = {}
    if name := texts.get(name_key):
        found["serviceName"] = name.lower()
    for key in keys[:2]:
        if (text := texts.get(key)) and (address := _address(text)):
            found[address[0]] = address[1]
    if port := _port(texts.get(keys[2], "")):
        found["port"] = port
    return found


@lru_cache(maxsize=4_096)
def _address(text: str) -> tuple[str, str] | None:
    """(`ipv4` or `ipv6`, the address); None for none.

    Attributes may also have the path of a socket there, or a host's name: a reader in Go would refuse the whole trace.
    """
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return f"ipv{address.version}", str(address)


def _port(text: str) -> int:
    is_port = text.isascii() and text.isdecimal() and len(text) <= 5 and int(text) <= _PORT_MAX
    return int(text) if is_port else 0


def _remote(span: Span, tags: Mapping[str, str]) -> Json:
    """Whom the span calls, by the name that it has as an edge too."""
    name = tags.get(model.PEER_SERVICE, "")
    if span.kind in CALLER_KINDS and (peer := peer_of(span.attributes)):
        name = peer.name
    ip = next((tags[key] for key in _PEER_IPS if key in tags and _address(tags[key])), "")
    port = next((tags[key] for key in _PEER_PORTS if tags.get(key)), "")
    if not name and not ip:
        return {}
    texts = {model.PEER_SERVICE: name, "net.peer.ip": ip, "net.peer.port": port}
    return _endpoint(texts, model.PEER_SERVICE, model.REMOTE_KEYS)


def _told_tags(span: Span, message: SpanMessage) -> dict[str, str]:
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


def _annotations(found: Iterable[tuple[int, str]]) -> list[Json]:
    """Sorted, copies left out."""
    in_micros = sorted({(time_nano // _MICRO_NANO, text) for time_nano, text in found})
    return [{"timestamp": time, "value": text} for time, text in in_micros]


def links_json(counts: CallCounts) -> list[Json]:
    """Dependency links of edges, of all kinds that Zipkin's linker knows, by lower-cased names."""
    sums: dict[tuple[str, str], tuple[int, int]] = {}
    for (caller, callee, kind), (calls, errors) in counts.items():
        if kind == EdgeKind.PARENT:
            continue
        pair = caller.lower(), callee.lower()
        before = sums.get(pair, (0, 0))
        sums[pair] = before[0] + calls, before[1] + errors
    return [
        {"parent": parent, "child": child, "callCount": calls}
        | ({"errorCount": errors} if errors > 0 else {})
        for (parent, child), (calls, errors) in sorted(sums.items())
    ]


UI_CONFIG: Json = {
    "environment": "",
    "queryLimit": 10,
    "defaultLookback": 900_000,
    "searchEnabled": True,
    "logsUrl": None,
    "supportUrl": None,
    "archivePostUrl": None,
    "archiveUrl": None,
    "dependency": {"enabled": True, "lowErrorRate": 0.5, "highErrorRate": 0.75},
}
"""What Zipkin Lens asks for when it starts; times in milliseconds."""
