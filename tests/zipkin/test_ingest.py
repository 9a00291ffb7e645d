"""Zipkin's spans become OTLP as `model/zipkin.py` says, and bad ones are refused in Zipkin's words."""

from __future__ import annotations

from contextlib import suppress

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from chalicelib import config
from chalicelib.errors import InvalidPayload, PayloadTooLarge
from chalicelib.model import zipkin_spans_pb2 as proto
from chalicelib.receive.otlp import payload_from_protobuf
from chalicelib.zipkin.ingest import payload_from_json, payload_from_proto

START = 1_472_470_996_199_000
SPAN = {"traceId": "000000000000000a", "id": "2", "timestamp": START, "duration": 7}


def body_of(*spans):
    return orjson.dumps(list(spans))


def spans_of(normalised):
    data = TracesData.FromString(normalised.payload)
    return [each for r in data.resource_spans for scope in r.scope_spans for each in scope.spans]


def one(**fields):
    normalised = payload_from_json(body_of({**SPAN, **fields}))
    assert not normalised.rejected
    (found,) = spans_of(normalised)
    return found


def attributes_of(message):
    return [(each.key, getattr(each.value, each.value.WhichOneof("value"))) for each in message]


def test_whole_span():
    """Every field has its place; the payload is one that OTLP's own checks let pass."""
    span = {
        **SPAN,
        "parentId": "1",
        "kind": "SERVER",
        "name": "GET /",
        "localEndpoint": {
            "serviceName": "Shop",
            "ipv4": "192.0.2.1",
            "ipv6": "2001:DB8::1",
            "port": 80,
        },
        "remoteEndpoint": {"serviceName": "Front", "ipv4": "192.0.2.2", "port": 5},
        "annotations": [{"timestamp": START + 1, "value": "wr"}],
        "tags": {"http.method": "GET"},
        "debug": True,
        "shared": True,
    }
    normalised = payload_from_json(body_of(span))
    assert payload_from_protobuf(normalised.payload) == normalised
    (resource_spans,) = TracesData.FromString(normalised.payload).resource_spans
    assert attributes_of(resource_spans.resource.attributes) == [
        ("service.name", "shop"),
        ("net.host.ip", "192.0.2.1"),
        ("net.host.ipv6", "2001:db8::1"),
        ("net.host.port", 80),
    ]
    assert resource_spans.scope_spans[0].scope.name == "zipkin"
    (found,) = spans_of(normalised)
    assert found.trace_id.hex() == "0" * 31 + "a"
    assert (found.span_id[-1], found.parent_span_id[-1]) == (2, 1)
    assert (found.name, found.kind) == ("get /", 2)
    assert found.start_time_unix_nano == START * 1_000
    assert found.end_time_unix_nano == (START + 7) * 1_000
    assert attributes_of(found.attributes) == [
        ("peer.service", "front"),
        ("net.peer.ip", "192.0.2.2"),
        ("net.peer.port", 5),
        ("zipkin.debug", True),
        ("zipkin.shared", True),
        ("http.method", "GET"),
    ]
    (event,) = found.events
    assert (event.name, event.time_unix_nano) == ("wr", (START + 1) * 1_000)


@pytest.mark.parametrize(
    ("tags", "code", "message"),
    [
        ({}, 0, ""),
        ({"error": ""}, 2, ""),
        ({"error": "true"}, 2, ""),
        ({"error": "false"}, 2, "false"),
        ({"error": "timeout"}, 2, "timeout"),
        ({"otel.status_code": "OK"}, 1, ""),
        ({"otel.status_code": "ERROR"}, 2, ""),
    ],
)
def test_an_error_tag_is_an_error_of_whatever_value(tags, code, message):
    """A tag `error` is one, whatever its value; the tag stays."""
    found = one(tags=tags)
    assert (found.status.code, found.status.message) == (code, message)
    assert dict(attributes_of(found.attributes)) == tags


def test_tags_with_keys_of_ours():
    """They are told from our own attributes by what stands between."""
    found = one(tags={"peer.service": "x"}, remoteEndpoint={"serviceName": "y"})
    assert attributes_of(found.attributes) == [
        ("peer.service", "y"),
        ("zipkin.tags", True),
        ("peer.service", "x"),
    ]


def test_what_zipkin_mends_is_mended():
    """What Zipkin takes or mends is taken and mended."""
    assert one(parentId="2").parent_span_id == b""
    assert one(parentId="0").parent_span_id == b""
    assert one(timestamp=str(START)).start_time_unix_nano == START * 1_000
    assert one(timestamp=float(START)).start_time_unix_nano == START * 1_000
    assert one(duration=-5).end_time_unix_nano == START * 1_000
    assert attributes_of(one(tags={"n": 5}).attributes) == [("n", "5")]
    assert not one(kind="CLIENT", shared=True).attributes
    assert not one(remoteEndpoint={"ipv4": "nonsense", "port": -1}).attributes
    assert attributes_of(one(remoteEndpoint={"ipv6": "::ffff:1.2.3.4"}).attributes) == [
        ("net.peer.ip", "1.2.3.4")
    ]
    assert one(kind=None, name=None, tags=None, annotations=None, localEndpoint=None)


@pytest.mark.parametrize(
    ("spans", "start"),
    [
        ([{"annotations": [{"timestamp": 9, "value": "a"}, {"timestamp": 8, "value": "b"}]}], 8),
        ([{}, {"id": "3", "timestamp": 40}, {"id": "4", "timestamp": 30}], 30),
        ([{}, {"traceId": "b", "timestamp": 20}], 20),
        ([{}], 0),
    ],
)
def test_no_timestamp(spans, start):
    """It is guessed from the span, its trace, or the request; and marked as a guess."""
    without = {key: value for key, value in SPAN.items() if key != "timestamp"}
    found = spans_of(payload_from_json(body_of(*[{**without, **each} for each in spans])))
    (guessed,) = [
        each for each in found if ("zipkin.no_timestamp", True) in attributes_of(each.attributes)
    ]
    assert guessed.start_time_unix_nano == start * 1_000


@pytest.mark.parametrize(
    ("span", "message"),
    [
        ({}, "Missing : traceId id"),
        ({"traceId": "a"}, "Missing : id"),
        ({**SPAN, "traceId": ""}, "traceId is empty"),
        ({**SPAN, "traceId": "a" * 33}, "traceId.length > 32"),
        ({**SPAN, "traceId": "0" * 32}, "traceId is all zeros"),
        ({**SPAN, "traceId": "0" * 31}, "traceId is all zeros"),
        ({**SPAN, "traceId": "A" * 16}, f"{'A' * 16} should be lower-hex encoded with no prefix"),
        ({**SPAN, "traceId": "a " * 16}, f"{'a ' * 16} should be lower-hex encoded with no prefix"),
        ({**SPAN, "id": "0" * 16}, "id is all zeros"),
        ({**SPAN, "id": "a" * 17}, "id.length > 16"),
        ({**SPAN, "parentId": "x"}, "x should be lower-hex encoded with no prefix"),
        ({**SPAN, "kind": "ODD"}, "No enum constant zipkin2.Span.Kind.ODD"),
        ({**SPAN, "tags": {"k": None}}, "No value at $[0].tags.k"),
        ({**SPAN, "tags": {"k": True}}, "Expected a string but was bool"),
        (
            {**SPAN, "annotations": [{"value": "a"}]},
            "Incomplete annotation at $[0].annotations[0].value",
        ),
        ({**SPAN, "timestamp": "soon"}, 'For input string: "soon"'),
        ({**SPAN, "timestamp": 2**63}, f"{2**63} microseconds are after 2554"),
        ({**SPAN, "debug": 1}, "Expected a boolean but was int"),
        ({**SPAN, "localEndpoint": {"port": 65536}}, "invalid port 65536"),
        ({**SPAN, "tags": 5}, "Malformed"),
        ({**SPAN, "id": 5}, "Malformed"),
        (5, "Malformed"),
    ],
)
def test_bad_spans(span, message):
    """Alone a bad span is refused in Zipkin's words; among good ones it is counted, and they are stored."""
    with pytest.raises(InvalidPayload) as error:
        payload_from_json(body_of(span))
    assert str(error.value) == f"{message} reading List<Span> from json"
    found = payload_from_json(body_of(SPAN, span, {**SPAN, "id": "3"}))
    assert [each.span_id[-1] for each in spans_of(found)] == [2, 3]
    assert found.rejected.total() == 1


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{}", "Expected a JSON_V2 encoded list"),
        (b"[", "Malformed reading List<Span> from json"),
        (b"[\xff]", "Malformed reading List<Span> from json"),
        (b'[{"binaryAnnotations":[]}]', "Expected a JSON_V2 encoded list, but received: JSON_V1"),
    ],
)
def test_bad_bodies(body, message):
    """What is no list of spans is refused."""
    with pytest.raises(InvalidPayload) as error:
        payload_from_json(body)
    assert str(error.value) == message


@pytest.mark.parametrize("read", [payload_from_json, payload_from_proto])
def test_empty_lists_are_no_error(read):
    """Nothing is nothing, and no error."""
    assert read(b"").span_count == 0
    assert payload_from_json(b"[]").span_count == 0


def test_too_many_spans_or_endpoints_are_refused(monkeypatch):
    """More spans or endpoints than a request may have are refused; a span that is too large is counted."""
    large = {**SPAN, "tags": {"k": "x" * config.SPAN_BYTES_MAX}}
    many = {**SPAN, "tags": {str(n): "" for n in range(config.ATTRIBUTES_PER_SPAN_MAX + 1)}}
    assert payload_from_json(body_of(SPAN, large, many)).rejected.total() == 2
    monkeypatch.setattr(config, "GROUPS_PER_REQUEST_MAX", 4)
    ends = [{**SPAN, "localEndpoint": {"serviceName": str(n)}} for n in range(3)]
    with pytest.raises(PayloadTooLarge):
        payload_from_json(body_of(*ends))
    monkeypatch.setattr(config, "SPANS_PER_REQUEST_MAX", 1)
    with pytest.raises(PayloadTooLarge):
        payload_from_json(body_of(SPAN, SPAN))


def test_proto_annotations_without_times_have_a_bound():
    """A proto3 span of thousands of annotations without a timestamp fails alone: Zipkin reads none of them."""
    trace_id = bytes(7) + b"\x0a"
    good = proto.Span(trace_id=trace_id, id=bytes(7) + b"\x01", timestamp=START).SerializeToString()
    empty = [proto.Annotation()] * 3_000
    bad = proto.Span(
        trace_id=trace_id, id=bytes(7) + b"\x02", timestamp=START, annotations=empty
    ).SerializeToString()
    found = payload_from_proto(proto.ListOfSpans(spans=[bad, good]).SerializeToString())
    assert found.span_count == 1
    assert found.rejected == {"most of its annotations have no timestamp": 1}


def test_proto3_comes_to_the_same_as_json():
    """proto3 comes to the same as JSON; a damaged span fails alone."""
    good = proto.Span(
        trace_id=bytes(7) + b"\x0a",
        id=bytes(7) + b"\x02",
        kind=2,
        name="GET /",
        timestamp=START,
        duration=7,
        local_endpoint=proto.Endpoint(service_name="Shop", ipv4=b"\xc0\0\2\1", port=80),
        remote_endpoint=proto.Endpoint(ipv6=bytes(15) + b"\1"),
        annotations=[proto.Annotation(timestamp=START, value="a"), proto.Annotation(value="b")],
        tags={"k": "v"},
        debug=True,
    )
    as_json = {
        **SPAN,
        "kind": "SERVER",
        "name": "GET /",
        "localEndpoint": {"serviceName": "Shop", "ipv4": "192.0.2.1", "port": 80},
        "remoteEndpoint": {"ipv6": "::1"},
        "annotations": [{"timestamp": START, "value": "a"}],
        "tags": {"k": "v"},
        "debug": True,
    }
    raw = good.SerializeToString()
    body = proto.ListOfSpans(spans=[raw, raw[:-5] + b"\xff", b""]).SerializeToString()
    found = payload_from_proto(body)
    assert found.payload == payload_from_json(body_of(as_json)).payload
    assert found.rejected.total() == 2
    with pytest.raises(InvalidPayload, match="Malformed reading List<Span> from proto3"):
        payload_from_proto(b"[]")


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)
hostile = st.fixed_dictionaries(
    {"traceId": st.just("a") | json_values, "id": st.just("b") | json_values},
    optional=dict.fromkeys(
        [
            *("parentId", "kind", "name", "timestamp", "duration", "localEndpoint", "annotations"),
            *("remoteEndpoint", "tags", "debug", "shared"),
        ],
        json_values,
    )
    | {
        "tags": st.dictionaries(st.text(max_size=5), json_values, max_size=3),
        "annotations": st.lists(
            st.fixed_dictionaries({}, optional={"timestamp": json_values, "value": json_values}),
            max_size=2,
        ),
        "localEndpoint": st.dictionaries(
            st.sampled_from(["serviceName", "ipv4", "ipv6", "port"]), json_values
        ),
    },
)


@given(st.lists(hostile | json_values, max_size=4))
def test_hostile_json(spans):
    """Whatever JSON holds, every span is stored as OTLP takes it, or counted, or the whole refused."""
    with suppress(InvalidPayload):
        found = payload_from_json(orjson.dumps(spans))
        assert found.span_count + found.rejected.total() == len(spans)
        assert payload_from_protobuf(found.payload)[:2] == found[:2]


@given(st.binary(max_size=200))
def test_garbage_is_refused_or_holds_no_span(body):
    """Bytes that are no list are refused, or hold no span."""
    for read in (payload_from_json, payload_from_proto):
        with suppress(InvalidPayload):
            read(body)
