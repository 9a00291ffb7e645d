"""Zipkin's first model becomes its second as in Zipkin's own converter, from JSON and from Thrift."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import orjson
import pytest
import thriftpy2
from hypothesis import given
from hypothesis import strategies as st
from thriftpy2.protocol import TBinaryProtocol
from thriftpy2.thrift import TType
from thriftpy2.transport import TMemoryBuffer

from chalicelib.errors import InvalidPayload
from chalicelib.zipkin.fields import Endpoint
from chalicelib.zipkin.ingest_v1 import (
    Annotation,
    BinaryAnnotation,
    V1Span,
    converted,
    payload_from_json,
    payload_from_thrift,
)
from tests.zipkin.test_ingest import START, attributes_of, spans_of

idl = thriftpy2.load(str(Path(__file__).with_name("zipkin.thrift")), module_name="zipkin_thrift")
FRONT, BACK = Endpoint("front", "192.0.2.1", "", 0), Endpoint("back", "192.0.2.2", "", 80)
BOOL, BYTES, STRING = 0, 1, 6


def spans(annotations=(), binary=(), timestamp=0, duration=0):
    """What becomes of a span, without what every span has."""
    source = V1Span(
        {"traceId": "a", "id": "b"},
        timestamp,
        duration,
        [Annotation(*each) for each in annotations],
        [BinaryAnnotation(*each) for each in binary],
    )
    return [
        {
            key: each["serviceName"] if key.endswith("Endpoint") and each else each
            for key, each in span.items()
            if each and key not in ("traceId", "id")
        }
        for span in converted(source)
    ]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (
            {"annotations": [(5, "cs", FRONT), (9, "cr", FRONT)]},
            [{"kind": "CLIENT", "timestamp": 5, "duration": 4, "localEndpoint": "front"}],
        ),
        (
            {"annotations": [(5, "sr", BACK), (9, "ss", BACK)], "timestamp": 5, "duration": 4},
            [{"kind": "SERVER", "timestamp": 5, "duration": 4, "localEndpoint": "back"}],
        ),
        (
            {"annotations": [(5, "sr", BACK), (9, "ss", BACK)]},
            [
                {
                    "kind": "SERVER",
                    "timestamp": 5,
                    "duration": 4,
                    "shared": True,
                    "localEndpoint": "back",
                }
            ],
        ),
        (
            {
                "annotations": [
                    (1, "cs", FRONT),
                    (3, "sr", BACK),
                    (4, "wire", BACK),
                    (6, "ss", BACK),
                    (9, "cr", FRONT),
                ],
                "timestamp": 1,
                "duration": 8,
            },
            [
                {"kind": "CLIENT", "timestamp": 1, "duration": 8, "localEndpoint": "front"},
                {
                    "kind": "SERVER",
                    "timestamp": 3,
                    "duration": 3,
                    "shared": True,
                    "localEndpoint": "back",
                    "annotations": [{"timestamp": 4, "value": "wire"}],
                },
            ],
        ),
        (
            {
                "annotations": [
                    (1, "cs", FRONT),
                    (3, "sr", FRONT),
                    (6, "ss", FRONT),
                    (9, "cr", FRONT),
                ]
            },
            [
                {"kind": "CLIENT", "timestamp": 1, "duration": 8, "localEndpoint": "front"},
                {
                    "kind": "SERVER",
                    "timestamp": 3,
                    "duration": 3,
                    "shared": True,
                    "localEndpoint": "front",
                },
            ],
        ),
        (
            {"annotations": [(1, "cs", FRONT), (3, "sr", BACK)], "timestamp": 1},
            [
                {"kind": "CLIENT", "timestamp": 1, "localEndpoint": "front"},
                {"kind": "SERVER", "timestamp": 3, "shared": True, "localEndpoint": "back"},
            ],
        ),
        (
            {"annotations": [(9, "cr", FRONT)], "timestamp": 5, "duration": 4},
            [{"kind": "CLIENT", "timestamp": 5, "duration": 4, "localEndpoint": "front"}],
        ),
        (
            {"annotations": [(9, "cr", FRONT)]},
            [
                {
                    "kind": "CLIENT",
                    "localEndpoint": "front",
                    "annotations": [{"timestamp": 9, "value": "cr"}],
                }
            ],
        ),
        (
            {"annotations": [(5, "cs", None)]},
            [{"annotations": [{"timestamp": 5, "value": "cs"}]}],
        ),
        (
            {"annotations": [(5, "ms", FRONT), (7, "ws", FRONT)], "binary": [("ma", "true", BACK)]},
            [
                {
                    "kind": "PRODUCER",
                    "timestamp": 5,
                    "duration": 2,
                    "localEndpoint": "front",
                    "remoteEndpoint": "back",
                }
            ],
        ),
        (
            {"annotations": [(5, "wr", FRONT), (7, "mr", FRONT)]},
            [{"kind": "CONSUMER", "timestamp": 5, "duration": 2, "localEndpoint": "front"}],
        ),
        (
            {"annotations": [(5, "ms", FRONT), (7, "mr", FRONT)]},
            [
                {"kind": "PRODUCER", "timestamp": 5, "localEndpoint": "front"},
                {"kind": "CONSUMER", "timestamp": 7, "shared": True, "localEndpoint": "front"},
            ],
        ),
        (
            {"annotations": [(5, "ws", FRONT)]},
            [{"localEndpoint": "front", "annotations": [{"timestamp": 5, "value": "ws"}]}],
        ),
        (
            {"annotations": [(5, "cs", FRONT)], "binary": [("sa", "true", BACK)]},
            [
                {
                    "kind": "CLIENT",
                    "timestamp": 5,
                    "localEndpoint": "front",
                    "remoteEndpoint": "back",
                }
            ],
        ),
        (
            {"annotations": [(5, "sr", BACK)], "binary": [("ca", "1", FRONT)], "timestamp": 5},
            [
                {
                    "kind": "SERVER",
                    "timestamp": 5,
                    "localEndpoint": "back",
                    "remoteEndpoint": "front",
                }
            ],
        ),
        (
            {
                "annotations": [(5, "sr", BACK)],
                "binary": [("ca", "1", BACK._replace(port=9))],
                "timestamp": 5,
            },
            [{"kind": "SERVER", "timestamp": 5, "localEndpoint": "back", "remoteEndpoint": ""}],
        ),
        (
            {
                "binary": [("sa", "true", BACK), ("lc", "", FRONT), ("k", "v", FRONT)],
                "timestamp": 5,
            },
            [
                {
                    "timestamp": 5,
                    "localEndpoint": "front",
                    "remoteEndpoint": "back",
                    "tags": {"k": "v"},
                }
            ],
        ),
        (
            {"binary": [("ca", "true", FRONT)]},
            [{"kind": "SERVER", "remoteEndpoint": "front"}],
        ),
        (
            {"binary": [("ca", "true", FRONT), ("sa", "true", BACK)]},
            [{"localEndpoint": "front", "remoteEndpoint": "back"}],
        ),
        (
            {"binary": [("lc", "job", FRONT), ("error", "", FRONT)], "timestamp": 5, "duration": 2},
            [
                {
                    "timestamp": 5,
                    "duration": 2,
                    "localEndpoint": "front",
                    "tags": {"lc": "job", "error": ""},
                }
            ],
        ),
    ],
)
def test_each_case_of_the_converter_is_converted_as_in_zipkin(source, expected):
    """One case of V1SpanConverter's each: pairs, halves, one-way calls, loops, messages, addresses."""
    assert spans(**source) == expected


def thrift_body(*found):
    buffer = TMemoryBuffer()
    for span in found:
        TBinaryProtocol(buffer).write_struct(span)
    return bytes([TType.STRUCT]) + len(found).to_bytes(4, "big") + buffer.getvalue()


def test_thrift_is_json():
    """The same span in either form has the same payload."""
    front = idl.Endpoint(ipv4=-1073741311, port=-1, service_name="Front")
    back = idl.Endpoint(service_name="back", ipv6=bytes(15) + b"\1")
    span = idl.Span(
        trace_id=-1,
        trace_id_high=1,
        id=-2,
        parent_id=3,
        name="GET",
        annotations=[
            idl.Annotation(timestamp=START, value="cs", host=front),
            idl.Annotation(timestamp=0, value="left out", host=front),
        ],
        binary_annotations=[
            idl.BinaryAnnotation(key="k", value=b"v", annotation_type=STRING, host=front),
            idl.BinaryAnnotation(key="sa", value=b"\1", annotation_type=BOOL, host=back),
            idl.BinaryAnnotation(key="b", value=b"\0\1", annotation_type=BYTES, host=front),
        ],
        debug=True,
    )
    endpoint = {"serviceName": "front", "ipv4": "192.0.2.1", "port": 65535}
    as_json = {
        "traceId": "0000000000000001ffffffffffffffff",
        "id": "fffffffffffffffe",
        "parentId": "3",
        "name": "get",
        "annotations": [{"timestamp": START, "value": "cs", "endpoint": endpoint}],
        "binaryAnnotations": [
            {"key": "k", "value": "v", "endpoint": endpoint},
            {"key": "sa", "value": True, "endpoint": {"serviceName": "back", "ipv6": "::1"}},
            {"key": "n", "value": 5, "endpoint": endpoint},
        ],
        "debug": True,
    }
    found = payload_from_thrift(thrift_body(span))
    assert found.payload == payload_from_json(orjson.dumps([as_json])).payload
    (message,) = spans_of(found)
    assert attributes_of(message.attributes) == [
        ("peer.service", "back"),
        ("net.peer.ipv6", "::1"),
        ("zipkin.debug", True),
        ("k", "v"),
    ]


@pytest.mark.parametrize(
    ("span", "message"),
    [
        ({}, "Missing : traceId id"),
        ({"annotations": [{"value": "a"}]}, "Incomplete annotation at $[0].annotations[0].value"),
        ({"binaryAnnotations": [{"value": "a"}]}, "No key at $[0].binaryAnnotations"),
        ({"binaryAnnotations": 5}, "Malformed"),
        (5, "Malformed"),
    ],
)
def test_bad_spans(span, message):
    """Alone a bad span is refused in Zipkin's words; among good ones it is counted, and they are stored."""
    with pytest.raises(InvalidPayload) as error:
        payload_from_json(orjson.dumps([span]))
    assert str(error.value) == f"{message} reading List<Span> from json"
    good = {"traceId": "a", "id": "b"}
    found = payload_from_json(orjson.dumps([good, span]))
    assert (found.span_count, found.rejected.total()) == (1, 1)


def test_many_services():
    """A span with parts in very many services is refused before that costs much."""
    annotations = [
        {"timestamp": 1, "value": "a", "endpoint": {"serviceName": str(n)}} for n in range(100_000)
    ]
    span = {"traceId": "a", "id": "b", "annotations": annotations}
    with pytest.raises(InvalidPayload, match="a span may have parts in 16 services"):
        payload_from_json(orjson.dumps([span]))


def test_second_model():
    """Spans of the second model are refused by name; text that looks like it is text."""
    with pytest.raises(
        InvalidPayload, match="Expected a JSON_V1 encoded list, but received: JSON_V2"
    ):
        payload_from_json(b'[{"traceId":"a","id":"b","tags":{}}]')
    assert payload_from_json(b'[{"traceId":"a","id":"b","name":"tags"}]').span_count == 1


@pytest.mark.parametrize(
    "body",
    [
        b"\x0c\x7f\xff\xff\xff",
        b"\x0c\xff\xff\xff\xff",
        b"\x0c\0\0\0\1" + b"\x0c\x00\x63" * 100_000,
        b"\x0c\0\0\0\1\x0b\0\3\x7f\xff\xff\xff",
        b"\x0c\0\0\0\1\x0f\0\6\x0c\x7f\xff\xff\xff",
    ],
)
def test_hostile_thrift(body):
    """Lengths beyond the body, and nesting without end, are refused at once."""
    with pytest.raises(InvalidPayload):
        payload_from_thrift(body)


@given(st.binary(max_size=200))
def test_garbage_is_refused_or_holds_no_span(body):
    """Bytes that are no list are refused, or hold no span."""
    for read in (payload_from_json, payload_from_thrift):
        with suppress(InvalidPayload):
            read(body)


@given(at=st.integers(0, 10_000), value=st.integers(0, 255))
def test_a_damaged_list_is_refused_or_stored_in_part(at, value):
    """One byte of a list changed: refused, or stored in part."""
    host = idl.Endpoint(ipv4=1, port=2, service_name="a")
    span = idl.Span(
        trace_id=1,
        id=2,
        name="a",
        annotations=[idl.Annotation(timestamp=START, value="cs", host=host)],
        binary_annotations=[
            idl.BinaryAnnotation(key="k", value=b"v", annotation_type=6, host=host)
        ],
    )
    damaged = bytearray(thrift_body(span, span))
    damaged[at % len(damaged)] = value
    with suppress(InvalidPayload):
        payload_from_thrift(bytes(damaged))
