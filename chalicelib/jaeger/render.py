"""Traces, edges and statistics as Jaeger's query service answers them.

Source: opentelemetry-collector-contrib, pkg/translator/jaeger; jaeger, internal/uimodel; jaeger-ui, src/types.
"""

from __future__ import annotations

import base64
import hashlib
import math
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans

from chalicelib.http.stream import STREAMED, WHOLE, form_of
from chalicelib.jaeger.adjust import (
    MENDED_KEYS,
    Library,
    mend_address,
    sort_collections,
    warn,
)
from chalicelib.jaeger.skew import Timed, host_of, skews
from chalicelib.model.attribute import double_text, plain_value, string_form
from chalicelib.model.span import CLIENT, KIND_NAMES, SERVER, STATUS_ERROR, UNSPECIFIED
from chalicelib.model.units import MICRO_NANO, MILLI_NANO
from chalicelib.model.zipkin import SCOPE_NAME as ZIPKIN_SCOPE_NAME
from chalicelib.present.message import message_of
from chalicelib.present.otlp_json import DECODED_MAX

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from opentelemetry.proto.trace.v1.trace_pb2 import Span as SpanMessage

    from chalicelib.http.stream import Form
    from chalicelib.jaeger.skew import Skew
    from chalicelib.model.edges import CallCounts
    from chalicelib.model.span import Scope, Span
    from chalicelib.query.trace import Summary

Json = dict[str, Any]

_SAFE_INTEGER_MAX = 2**53 - 1
_STATUS_OK = 1
_SAMPLED, _DEBUG = 1, 2
_TYPES = {bool: "bool", int: "int64", float: "float64", bytes: "binary"}
_REF_TYPE = "opentracing.ref_type"
_DEBUG_KEY = "jaeger.debug"
_SERVICE_NAME = "service.name"
_TRACE_STATE_KEY = "w3c.tracestate"
_SCOPE_KEYS = ("otel.scope.name", "otel.scope.version")
_TOLD_KEYS = frozenset(
    [
        *("span.kind", "error", "otel.status_code", "otel.status_description"),
        *(_TRACE_STATE_KEY, *_SCOPE_KEYS),
    ]
)
"""The tags that may be made of a field: such a tag stands in place of an attribute of its key, not beside it."""


def envelope(data: Any, errors: Sequence[Json] = ()) -> Json:
    """What every answer of the first API comes in."""
    total = len(data) if isinstance(data, list) else 0
    return {"data": data, **_rest_of_envelope(total, errors)}


def streamed_envelope(
    data: Iterable[Any], errors: Sequence[Json] = (), form: Form = STREAMED
) -> Any:
    """The same of traces; their number, and `errors`, are what they are once the last trace is there."""
    total = 0

    def counted() -> Iterator[Any]:
        nonlocal total
        for each in data:
            total += 1
            yield each

    def fields() -> Iterator[tuple[str, Any]]:
        yield "data", form.array(counted())
        yield from _rest_of_envelope(total, errors).items()

    return form.object(fields())


def _rest_of_envelope(total: int, errors: Sequence[Json]) -> Json:
    return {"total": total, "limit": 0, "offset": 0, "errors": list(errors) or None}


def error_envelope(status: int, message: str) -> Json:
    return envelope(None, [{"code": status, "msg": message}])


def error_v3(status: int, message: str) -> Json:
    return {"error": {"httpCode": status, "message": message}}


def streamed_trace(
    spans: Sequence[Span],
    *,
    is_raw: bool = False,
    skew_max_nano: int = 0,
    form: Form | None = None,
) -> Any:
    """One trace (at least one span).

    Unless it is raw, it is mended as Jaeger does it: a server's half of a span that shares its client's id gets one of
    its own, clocks that differ by no more than `skew_max_nano` are set right, and the rest is as `adjust.py` says.
    """
    writer = _Writer(spans, {} if is_raw else _server_halves(spans))
    library = Library(writer.process)
    found = map(writer.span, spans) if is_raw else _mended(spans, writer, library, skew_max_nano)

    def processes() -> Iterator[tuple[str, Json]]:
        for process_id in writer.process_ids:
            process = writer.process(process_id)
            yield process_id, process if is_raw else library.mended(process_id, process)

    form = form or form_of(spans)
    return form.object(
        [
            ("traceID", writer.trace_id),
            ("spans", form.array(found)),
            # After the spans, of which some tell more of their process.
            ("processes", form.object(processes())),
            ("warnings", None),
        ]
    )


def trace_json(spans: Sequence[Span], *, is_raw: bool = False, skew_max_nano: int = 0) -> Json:
    """The same, at once."""
    found: Json = streamed_trace(spans, is_raw=is_raw, skew_max_nano=skew_max_nano, form=WHOLE)
    return found


def _mended(
    spans: Sequence[Span], writer: _Writer, library: Library, skew_max_nano: int
) -> Iterator[Json]:
    kept = _distinct(spans, writer)
    skewed = skews(_timed(kept, writer), skew_max_nano)
    for place, stored in enumerate(kept):
        span = writer.span(stored)
        sort_collections(span)
        if skew := skewed.get(place):
            _set_clock(stored, span, skew)
        if writer.must_be_mended(stored):
            mend_address(span)
            library.move_from(span)
        yield span


def _distinct(spans: Sequence[Span], writer: _Writer) -> Sequence[Span]:
    """All but those that are shown like one before."""
    ids = list(map(writer.id_of, spans))
    if len(set(ids)) == len(ids):
        return spans
    counts = Counter(ids)
    shown: set[bytes] = set()
    kept = []
    for span_id, span in zip(ids, spans, strict=True):
        if counts[span_id] > 1:
            found = writer.span(span)
            sort_collections(found)
            digest = hashlib.sha256(orjson.dumps(found)).digest()
            if digest in shown:
                continue
            shown.add(digest)
        kept.append(span)
    return kept


def _server_halves(spans: Sequence[Span]) -> dict[tuple[bytes, int], bytes]:
    """(Shared id, SERVER) → the id that the server's half is shown with."""
    clients = {span.span_id for span in spans if span.kind == CLIENT}
    return {
        (span.span_id, SERVER): hashlib.sha256(b"server" + span.span_id).digest()[:8]
        for span in spans
        if span.kind == SERVER and span.span_id in clients
    }


def _timed(spans: Sequence[Span], writer: _Writer) -> list[Timed]:
    hosts: dict[bytes, str] = {}
    timed = []
    for span in spans:
        head = span.scope.resource_head
        if head not in hosts:
            hosts[head] = host_of(span.scope.resource_attributes)
        parent = writer.parent_of(span)
        timed.append(
            Timed(
                writer.id_of(span).hex(),
                parent.hex(),
                span.start_time_unix_nano,
                span.duration_nano,
                hosts[head],
            )
        )
    return timed


def _set_clock(stored: Span, span: Json, skew: Skew) -> None:
    warn(span, *skew.warnings)
    if skew.delta_nano:
        start = stored.start_time_unix_nano + skew.delta_nano
        span["startTime"] = max(0, start) // MICRO_NANO
        moved = skew.delta_nano // MICRO_NANO
        for log in span["logs"]:
            log["timestamp"] = max(0, log["timestamp"] + moved)


def _trace_id(trace_id: bytes) -> str:
    """16 digits where the high half is zero, as Jaeger writes 64-bit ids."""
    return trace_id[8:].hex() if trace_id.startswith(bytes(8)) else trace_id.hex()


class _Writer:
    """Shows the spans of a trace. Decodes each scope and attribute once, if there are not too many."""

    def __init__(self, spans: Sequence[Span], shared: Mapping[tuple[bytes, int], bytes]) -> None:
        """`shared` as `_server_halves` tells it."""
        self.trace_id = _trace_id(spans[0].trace_id)
        self._shared = shared
        scopes = {span.scope.resource_head: span.scope for span in spans}
        self._process_ids = {head: f"p{number}" for number, head in enumerate(scopes, start=1)}
        self._processes = dict(zip(self._process_ids.values(), scopes.values(), strict=True))
        self._scope_tags: dict[bytes, list[Json]] = {}
        self._kind_tags: dict[int, list[Json]] = {}
        self._tags = _Tags()

    @property
    def process_ids(self) -> Iterable[str]:
        """The processes' names, by their first span."""
        return self._processes

    def process(self, process_id: str) -> Json:
        """A process, as its resource tells it."""
        scope = self._processes[process_id]
        resource = ResourceSpans.FromString(scope.resource_head).resource
        tags = [_tag(each) for each in resource.attributes if each.key != _SERVICE_NAME]
        return {"serviceName": scope.service, "tags": tags}

    def must_be_mended(self, span: Span) -> bool:
        """Whether an attribute of a span, which was shown before, is one of those that are mended."""
        mended = self._tags.mended
        return bool(mended) and not mended.isdisjoint(span.attributes)

    def id_of(self, span: Span) -> bytes:
        """The id that a span is shown with."""
        if not self._shared:
            return span.span_id
        return self._shared.get((span.span_id, span.kind), span.span_id)

    def parent_of(self, span: Span) -> bytes:
        """The id of its parent as shown; empty for none. What a server's half has called hangs below that half."""
        if not self._shared:
            return span.parent_span_id
        if (span.span_id, span.kind) in self._shared:
            return span.span_id
        own = self._shared.get((span.parent_span_id, SERVER))
        return own if own and span.kind != SERVER else span.parent_span_id

    def span(self, stored: Span) -> Json:
        """A span as it is stored, but for shared ids."""
        span = message_of(stored)
        tags, is_debug = self._tags_of(stored, span)
        links = span.links if stored.raw_links else ()
        found = {
            "traceID": self.trace_id,
            "spanID": self.id_of(stored).hex(),
            "operationName": stored.name,
            "references": _references(self.trace_id, self.parent_of(stored), links),
            "startTime": stored.start_time_unix_nano // MICRO_NANO,
            "duration": stored.duration_nano // MICRO_NANO,
            "tags": tags,
            "logs": [_log(event) for event in span.events] if stored.raw_events else [],
            "processID": self._process_ids[stored.scope.resource_head],
            "warnings": None,
        }
        if flags := (span.flags & _SAMPLED) | (_DEBUG if is_debug else 0):
            found["flags"] = flags
        return found

    def _tags_of(self, stored: Span, span: SpanMessage) -> tuple[list[Json], bool]:
        """A span's tags, and whether it has the debug flag."""
        of_scope = self._scope_tags.get(stored.scope.scope_head)
        if of_scope is None:
            of_scope = self._scope_tags[stored.scope.scope_head] = _scope_tags(stored.scope)
        own = list(map(self._tags.__getitem__, stored.attributes))
        told = self._tags_from_fields(stored, span)
        is_debug = False
        special = self._tags.special
        if special and not special.isdisjoint(stored.attributes):
            own_keys = {tag["key"] for tag in own}
            is_debug = _DEBUG_KEY in own_keys
            if _is_of_zipkin(of_scope):
                # Clew's word for where the span came from, and not that of the sender, who says it in tags.
                of_scope = [tag for tag in of_scope if tag["key"] not in own_keys]
            hidden = {_DEBUG_KEY, *[tag["key"] for tag in (*of_scope, *told)]}
            own = [tag for tag in own if tag["key"] not in hidden]
        return [*of_scope, *own, *told], is_debug

    def _tags_from_fields(self, stored: Span, span: SpanMessage) -> list[Json]:
        if span.trace_state or span.HasField("status"):
            return _tags_from_fields(stored, span)
        # Most spans tell no more than their kind.
        found = self._kind_tags.get(stored.kind)
        if found is None:
            found = self._kind_tags[stored.kind] = _tags_from_fields(stored, span)
        return found


class _Tags(dict[bytes, Json]):
    """KeyValue wire bytes → tag."""

    def __init__(self) -> None:
        super().__init__()
        self.special: set[bytes] = set()
        """The attributes that stand for a flag, or whose key a field may have as well."""
        self.mended: set[bytes] = set()
        """The attributes with a key that is mended."""

    def __missing__(self, raw: bytes) -> Json:
        if len(self) >= DECODED_MAX:
            self.clear()
        found = self[raw] = _tag(KeyValue.FromString(raw))
        if found["key"] == _DEBUG_KEY or found["key"] in _TOLD_KEYS:
            self.special.add(raw)
        elif found["key"] in MENDED_KEYS:
            self.mended.add(raw)
        return found


def _references(trace_id: str, parent: bytes, links: Iterable[SpanMessage.Link]) -> list[Json]:
    references = []
    if parent:
        references.append({"refType": "CHILD_OF", "traceID": trace_id, "spanID": parent.hex()})
    for link in links:
        texts = {each.key: each.value.string_value for each in link.attributes}
        kind = "CHILD_OF" if texts.get(_REF_TYPE) == "child_of" else "FOLLOWS_FROM"
        of_trace = _trace_id(link.trace_id)
        reference = {"refType": kind, "traceID": of_trace, "spanID": link.span_id.hex()}
        if parent == link.span_id and of_trace == trace_id:
            # A link to the parent says of what type its reference is.
            references[0] = reference
        else:
            references.append(reference)
    return references


def _scope_tags(scope: Scope) -> list[Json]:
    told = ScopeSpans.FromString(scope.scope_head).scope
    names = zip(_SCOPE_KEYS, (told.name, told.version), strict=True)
    return [_text_tag(key, text) for key, text in names if text]


def _is_of_zipkin(scope_tags: Sequence[Json]) -> bool:
    return _text_tag(_SCOPE_KEYS[0], ZIPKIN_SCOPE_NAME) in scope_tags


def _tags_from_fields(stored: Span, span: SpanMessage) -> list[Json]:
    """Tags for what OpenTelemetry has fields for."""
    tags = []
    if stored.kind != UNSPECIFIED:
        tags.append(_text_tag("span.kind", KIND_NAMES[stored.kind]))
    if span.status.code == STATUS_ERROR:
        tags.append(_text_tag("otel.status_code", "ERROR"))
        tags.append({"key": "error", "type": "bool", "value": True})
    elif span.status.code == _STATUS_OK:
        tags.append(_text_tag("otel.status_code", "OK"))
    if span.status.message:
        tags.append(_text_tag("otel.status_description", span.status.message))
    if span.trace_state:
        tags.append(_text_tag(_TRACE_STATE_KEY, span.trace_state))
    return tags


def _log(event: SpanMessage.Event) -> Json:
    fields = [_tag(each) for each in event.attributes]
    if event.name and not any(field["key"] == "event" for field in fields):
        fields.insert(0, _text_tag("event", event.name))
    return {"timestamp": event.time_unix_nano // MICRO_NANO, "fields": fields}


def _text_tag(key: str, text: str) -> Json:
    return {"key": key, "type": "string", "value": text}


def _tag(attribute: KeyValue) -> Json:
    plain = plain_value(attribute.value)
    if isinstance(plain, str):
        return _text_tag(attribute.key, plain)
    kind = _TYPES.get(type(plain))
    if kind is None:
        return _text_tag(attribute.key, string_form(attribute.value))
    return {"key": attribute.key, "type": kind, "value": _tag_value(plain)}


def _tag_value(plain: Any) -> Any:
    if isinstance(plain, bytes):
        return base64.b64encode(plain).decode()
    if isinstance(plain, float) and not math.isfinite(plain):
        return double_text(plain)
    is_unsafe = type(plain) is int and abs(plain) > _SAFE_INTEGER_MAX
    return str(plain) if is_unsafe else plain


def summary_json(summary: Summary, spans: Sequence[Span]) -> Json:
    """A line of the third API's trace summaries."""
    ids = {span.span_id for span in spans}
    services: dict[str, list[int]] = {}
    for span in spans:
        counts = services.setdefault(span.scope.service, [0, 0])
        counts[0] += 1
        counts[1] += span.is_error
    orphans = sum(bool(s.parent_span_id) and s.parent_span_id not in ids for s in spans)
    return {
        "traceId": summary.trace_id.hex(),
        "rootServiceName": summary.root_service,
        "rootOperationName": summary.root_span_name,
        "minStartTimeUnixNano": str(summary.start_time_unix_nano),
        "maxEndTimeUnixNano": str(summary.start_time_unix_nano + summary.duration_nano),
        "spanCount": summary.span_count,
        "errorSpanCount": summary.error_count,
        "orphanSpanCount": orphans,
        "services": [
            {"name": name, "spanCount": count, "errorSpanCount": errors}
            for name, (count, errors) in sorted(services.items())
        ],
    }


Points = list[tuple[int, float]]
"""(Unix seconds, value)."""


def metric_family(
    name: str, description: str, series: Iterable[tuple[Mapping[str, str], Points]]
) -> Json:
    """Series by their labels, the service's first."""
    return {
        "name": name,
        "type": "GAUGE",
        "help": description,
        "metrics": [
            {
                "labels": [{"name": key, "value": value} for key, value in labels.items()],
                "metricPoints": [
                    {"gaugeValue": {"doubleValue": value}, "timestamp": _rfc3339(second)}
                    for second, value in points
                ],
            }
            for labels, points in series
        ],
    }


def _rfc3339(unix_seconds: int) -> str:
    return datetime.fromtimestamp(unix_seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def milliseconds(nano: float) -> float:
    return nano / MILLI_NANO


def calls_by_pair(counts: CallCounts) -> dict[tuple[str, str], int]:
    """(Caller, callee) → calls, of whatever kind."""
    found: dict[tuple[str, str], int] = {}
    for (caller, callee, _), (calls, _) in counts.items():
        found[caller, callee] = found.get((caller, callee), 0) + calls
    return found
