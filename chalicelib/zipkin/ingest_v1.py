"""Zipkin's first model → its second: annotations at endpoints become kinds, times and tags of one span an endpoint.

    JSON, Thrift ──▶ V1Span ──converted──▶ dicts ──zipkin.payload_of──▶ Normalised

Source: openzipkin/zipkin, v1/V1SpanConverter.java, internal/V1JsonSpanReader.java, internal/V1ThriftSpanReader.java;
zipkin-api, thrift/zipkinCore.thrift.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from chalicelib.errors import InvalidPayload
from chalicelib.receive.otlp import Normalised
from chalicelib.receive.thrift import BinaryStructs
from chalicelib.zipkin.fields import (
    Endpoint,
    Fault,
    address_text,
    endpoint_of,
    incomplete_annotation,
    whole,
)
from chalicelib.zipkin.ingest import (
    Json,
    Remembered,
    check_span_count,
    json_list,
    payload_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from chalicelib.receive.thrift import Fields

_BOOL, _STRING = 0, 6
"""zipkinCore.thrift, AnnotationType."""
_ADDRESSES = ("ca", "sa", "ma")
_NO_ENDPOINT = Endpoint("", "", "", 0)
_UINT64 = 2**64 - 1
_SERVICES_MAX = 16
"""Beside the first. Real spans have one other; each annotation looks through all of them."""
_KINDS = {
    "cs": "CLIENT",
    "cr": "CLIENT",
    "sr": "SERVER",
    "ss": "SERVER",
    "ms": "PRODUCER",
    "mr": "CONSUMER",
    "ws": None,
    "wr": None,
}
"""Core annotation → the kind of the span at its endpoint."""


class Annotation(NamedTuple):
    timestamp: int
    """µs."""
    value: str
    endpoint: Endpoint | None


class BinaryAnnotation(NamedTuple):
    key: str
    value: str
    endpoint: Endpoint | None


class V1Span(NamedTuple):
    head: Json
    """What every span that is made of it has: traceId, id, parentId, name, debug."""
    timestamp: int
    """µs; 0 for none."""
    duration: int
    annotations: Iterable[Annotation]
    """Gone through once, as `binary_annotations` are: a span that is refused for the first is not read on."""
    binary_annotations: Iterable[BinaryAnnotation]


def payload_from_json(body: bytes) -> Normalised:
    """The payload of a JSON array of spans of the first model. Raises as `zipkin.payload_from_json` does."""
    if not body:
        return Normalised(b"", 0, Counter())
    spans = json_list(body, "JSON_V1")
    is_second = (b'Endpoint"' in body or b'"tags"' in body) and any(
        isinstance(each, dict) and not each.keys().isdisjoint(_SECOND_KEYS) for each in spans
    )
    if is_second:
        raise InvalidPayload("Expected a JSON_V1 encoded list, but received: JSON_V2")
    return _payload(_Converted(spans, _span_from_json, _Endpoints(_endpoint)), "json")


_SECOND_KEYS = ("localEndpoint", "remoteEndpoint", "tags")


def payload_from_thrift(body: bytes) -> Normalised:
    """The payload of a list of spans in Thrift's binary protocol. Raises as `zipkin.payload_from_json` does."""
    if not body:
        return Normalised(b"", 0, Counter())
    spans = BinaryStructs(body)
    check_span_count(len(spans))
    return _payload(
        _Converted(spans, _span_from_thrift, _Endpoints(_endpoint_from_thrift)), "thrift"
    )


class _Endpoints:
    """Endpoints as sent → as they are, remembered within a request: every annotation of a span has one."""

    def __init__(self, read: Callable[[Any], Endpoint | None]) -> None:
        self._read = read
        self._known: dict[tuple[Any, ...], Endpoint | None] = Remembered()

    def of(self, sent: Any) -> Endpoint | None:
        if not sent:
            return None
        key = tuple(sent.items())
        if key not in self._known:
            self._known[key] = self._read(sent)
        return self._known[key]


class _Converted:
    """The spans of the second model that spans of the first are made of, made anew at every turn."""

    def __init__(
        self,
        spans: Iterable[Any],
        read: Callable[[Any, int, _Endpoints], V1Span],
        endpoints: _Endpoints,
    ) -> None:
        self._spans, self._read, self._endpoints = spans, read, endpoints
        self.rejected: Counter[str] = Counter()
        """The spans that were left out at the last turn, by reason."""

    def __iter__(self) -> Iterator[Json]:
        self.rejected.clear()
        for place, span in enumerate(self._spans):
            try:
                found = converted(self._read(span, place, self._endpoints))
            except Fault as fault:
                self.rejected[str(fault)] += 1
            except (AttributeError, TypeError, KeyError, ValueError, OverflowError):
                self.rejected["Malformed"] += 1
            else:
                yield from found


def _payload(spans: _Converted, form: str) -> Normalised:
    return payload_of(spans, form, spans.rejected)


def _span_from_json(span: Json, place: int, endpoints: _Endpoints) -> V1Span:
    names = ("traceId", "id", "parentId", "name", "debug")
    return V1Span(
        {name: span.get(name) for name in names},
        max(0, whole(span.get("timestamp") or 0)),
        max(0, whole(span.get("duration") or 0)),
        _annotations_from_json(span, place, endpoints),
        _binary_from_json(span, place, endpoints),
    )


def _annotations_from_json(span: Json, place: int, endpoints: _Endpoints) -> Iterator[Annotation]:
    for nth, each in enumerate(span.get("annotations") or ()):
        time, value = each.get("timestamp"), each.get("value")
        if time is None or value is None:
            raise incomplete_annotation(each, place, nth)
        yield Annotation(whole(time), str(value), endpoints.of(each.get("endpoint")))


def _binary_from_json(span: Json, place: int, endpoints: _Endpoints) -> Iterator[BinaryAnnotation]:
    for each in span.get("binaryAnnotations") or ():
        key, value, endpoint = (
            each.get("key"),
            each.get("value"),
            endpoints.of(each.get("endpoint")),
        )
        if key is None:
            raise Fault(f"No key at $[{place}].binaryAnnotations")
        # What is neither text nor an address, Zipkin leaves out.
        if isinstance(value, str) or (value is True and endpoint and key in _ADDRESSES):
            text = value if isinstance(value, str) else "true"
            yield BinaryAnnotation(str(key), text, endpoint)


def _endpoint(sent: Json) -> Endpoint | None:
    found = endpoint_of(sent)
    return None if found == _NO_ENDPOINT else found


def _span_from_thrift(span: Fields, _: int, endpoints: _Endpoints) -> V1Span:
    high = span.get(12) or 0
    trace_id = (f"{high & _UINT64:016x}" if high else "") + f"{span[1] & _UINT64:016x}"
    parent = span.get(5) or 0
    head = {
        "traceId": trace_id,
        "id": f"{span[4] & _UINT64:016x}",
        "parentId": f"{parent & _UINT64:016x}" if parent else None,
        "name": _decoded(span.get(3)),
        "debug": span.get(9) or False,
    }
    return V1Span(
        head,
        max(0, span.get(10) or 0),
        max(0, span.get(11) or 0),
        (
            Annotation(each[1], _decoded(each[2]), endpoints.of(each.get(3)))
            for each in span.get(6) or ()
            if each.get(1) and 2 in each
        ),
        _binary_from_thrift(span.get(8) or (), endpoints),
    )


def _binary_from_thrift(
    annotations: Sequence[Fields], endpoints: _Endpoints
) -> Iterator[BinaryAnnotation]:
    """Text and addresses; what has another type, Zipkin leaves out."""
    for each in annotations:
        key, value, kind = _decoded(each.get(1)), each.get(2), each.get(3)
        endpoint = endpoints.of(each.get(4))
        is_address = kind == _BOOL and value == b"\x01" and endpoint and key in _ADDRESSES
        if 1 in each and value is not None and (kind == _STRING or is_address):
            yield BinaryAnnotation(key, "true" if is_address else _decoded(value), endpoint)


def _decoded(text: bytes | None) -> str:
    """One broken tag must not cost a span."""
    return (text or b"").decode(errors="replace")


def _endpoint_from_thrift(endpoint: Fields) -> Endpoint | None:
    ipv4 = (endpoint.get(1) or 0) & 0xFFFFFFFF
    return _endpoint(
        {
            "serviceName": _decoded(endpoint.get(3)),
            "ipv4": address_text(ipv4.to_bytes(4, "big")) if ipv4 else None,
            "ipv6": address_text(endpoint.get(4) or b""),
            # A signed 16-bit integer holds it.
            "port": (endpoint.get(2) or 0) & 0xFFFF,
        }
    )


def converted(source: V1Span) -> list[Json]:
    """The spans of the second model that it is made of, one for each service that has a part in it."""
    return _Converter(source).run()


class _Converter:
    """V1SpanConverter, step by step."""

    def __init__(self, source: V1Span) -> None:
        self._source = source
        self._first = self._new(None)
        self._others: list[Json] = []
        self._core: dict[str, Annotation] = {}

    def run(self) -> list[Json]:
        self._read_annotations()
        self._time_calls()
        self._time_messages()
        self._read_binary_annotations()
        return [_finished(span) for span in (self._first, *self._others)]

    def _new(self, endpoint: Endpoint | None) -> Json:
        return {**self._source.head, "localEndpoint": endpoint, "annotations": [], "tags": {}}

    def _at(self, endpoint: Endpoint | None) -> Json:
        """The span of an endpoint's service; the first has what belongs to none."""
        if endpoint is None:
            return self._first
        for span in (self._first, *self._others):
            if span["localEndpoint"] is None:
                span["localEndpoint"] = endpoint
                return span
            if _is_same_service(span["localEndpoint"], endpoint):
                return span
        return self._fork(endpoint)

    def _fork(self, endpoint: Endpoint | None) -> Json:
        if len(self._others) >= _SERVICES_MAX:
            raise Fault(f"a span may have parts in {_SERVICES_MAX} services")
        span = self._new(endpoint)
        self._others.append(span)
        return span

    def _read_annotations(self) -> None:
        source, core = self._source, self._core
        for each in source.annotations:
            span = self._at(each.endpoint)
            if each.endpoint is None or each.value not in _KINDS:
                _annotate(span, each)
                continue
            core[each.value] = each
            if kind := _KINDS[each.value]:
                span["kind"] = kind
        # A begin may be missing where an event model was bridged to a span model.
        for begin, end in (("cs", "cr"), ("sr", "ss")):
            if begin not in core and end in core and self._ends_with(core[end]):
                core[begin] = Annotation(source.timestamp, begin, core[end].endpoint)

    def _ends_with(self, end: Annotation) -> bool:
        start, duration = self._source.timestamp, self._source.duration
        return bool(start and duration) and start + duration == end.timestamp

    def _time_calls(self) -> None:
        cs, cr, sr, ss = (self._core.get(name) for name in ("cs", "cr", "sr", "ss"))
        duration = self._source.duration
        if cs and sr:
            self._time(cs, cr)
            client = self._at(cs.endpoint)
            if _is_same_service(cs.endpoint, sr.endpoint):
                # A service that calls itself has two spans nevertheless.
                client["kind"] = "CLIENT"
                server = self._fork(sr.endpoint)
                server["kind"] = "SERVER"
            else:
                server = self._at(sr.endpoint)
            server.update(shared=True, timestamp=sr.timestamp)
            if ss:
                server["duration"] = ss.timestamp - sr.timestamp
            if not cr and not duration:
                # Nobody waits for the end of a one-way call.
                client["duration"] = 0
        elif cs and cr:
            self._time(cs, cr)
        elif sr and ss:
            self._time(sr, ss)
        else:
            self._time_incomplete_call()
        # The first model had no flag for it: a server that does not know when the span began has not begun it.
        is_shared = not self._source.timestamp or (ss and not duration)
        if sr and not cs and is_shared:
            self._at(sr.endpoint)["shared"] = True

    def _time(self, begin: Annotation, end: Annotation | None) -> None:
        source, span = self._source, self._at(begin.endpoint)
        if source.timestamp and source.duration:
            span.update(timestamp=source.timestamp, duration=source.duration)
        else:
            span["timestamp"] = begin.timestamp
            if end:
                span["duration"] = end.timestamp - begin.timestamp

    def _time_incomplete_call(self) -> None:
        for span in (self._first, *self._others):
            ends = {"CLIENT": ("cs", "cr"), "SERVER": ("sr", "ss")}.get(span.get("kind", ""))
            if ends:
                begin, end = map(self._core.get, ends)
                if begin:
                    span["timestamp"] = begin.timestamp
                if end:
                    _annotate(span, end)
        if self._source.timestamp:
            self._first.update(timestamp=self._source.timestamp, duration=self._source.duration)

    def _time_messages(self) -> None:
        ms, mr, ws, wr = (self._core.get(name) for name in ("ms", "mr", "ws", "wr"))
        if ms and mr:
            producer = self._at(ms.endpoint)
            if _is_same_service(ms.endpoint, mr.endpoint):
                producer["kind"] = "PRODUCER"
                consumer = self._fork(mr.endpoint)
                consumer["kind"] = "CONSUMER"
            else:
                consumer = self._at(mr.endpoint)
            consumer.update(shared=True, timestamp=(wr or mr).timestamp)
            if wr:
                consumer["duration"] = mr.timestamp - wr.timestamp
            producer.update(
                timestamp=ms.timestamp, duration=ws.timestamp - ms.timestamp if ws else 0
            )
        elif ms:
            self._time(ms, ws)
        elif mr:
            self._time(wr or mr, mr if wr else None)
        else:
            for each in (ws, wr):
                if each:
                    _annotate(self._at(each.endpoint), each)

    def _read_binary_annotations(self) -> None:
        addresses: dict[str, Endpoint | None] = {}
        for key, value, endpoint in self._source.binary_annotations:
            # Some clients write "1" or "true" for an address: the key alone says that it is one.
            if key in _ADDRESSES:
                addresses[key] = endpoint
                continue
            span = self._at(endpoint)
            if key != "lc" or value:
                span["tags"][key] = value
        client, server, broker = map(addresses.get, _ADDRESSES)
        if self._core.keys().isdisjoint(("cs", "cr", "sr", "ss")) and (client or server):
            self._set_remote_without_core(client, server)
            return
        core = self._core
        served = core.get("sr") or core.get("ss")
        if client and served and client != served.endpoint:
            if _is_same_service(client, served.endpoint):
                # Finagle names the client's port by the server's name: that is no call to itself.
                client = client._replace(service_name="")
            self._at(served.endpoint)["remoteEndpoint"] = client
        calling = core.get("cs") or core.get("cr")
        if server and calling:
            self._at(calling.endpoint)["remoteEndpoint"] = server
        for each in (core.get("ms"), core.get("mr")):
            if broker and each:
                self._at(each.endpoint)["remoteEndpoint"] = broker

    def _set_remote_without_core(self, client: Endpoint | None, server: Endpoint | None) -> None:
        if client and server:
            self._at(client)["remoteEndpoint"] = server
        elif server:
            self._first["remoteEndpoint"] = server
        else:
            self._first.update(kind="SERVER", remoteEndpoint=client)


def _is_same_service(one: Endpoint | None, other: Endpoint | None) -> bool:
    return (one and one.service_name) == (other and other.service_name)


def _annotate(span: Json, annotation: Annotation) -> None:
    span["annotations"].append({"timestamp": annotation.timestamp, "value": annotation.value})


def _finished(span: Json) -> Json:
    for key in ("localEndpoint", "remoteEndpoint"):
        if endpoint := span.get(key):
            span[key] = dict(zip(("serviceName", "ipv4", "ipv6", "port"), endpoint, strict=True))
    return span
