"""Jaeger's Thrift batches become OTLP with nothing lost; the golden bytes are those of a real client."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
import thriftpy2
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SpanMessage
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData
from thriftpy2.protocol import TBinaryProtocol, TCompactProtocol
from thriftpy2.thrift import TMessageType
from thriftpy2.transport import TMemoryBuffer

from chalicelib.errors import InvalidPayload
from chalicelib.jaeger.ingest import payload_from_binary, payload_from_call
from tests.clients.real import CLIENTS

PYTHON_CLIENT, OPENTELEMETRY = (client for client in CLIENTS if client.dialect == "jaeger")
SECOND = 10**9
idl = thriftpy2.load(str(Path(__file__).with_name("jaeger.thrift")), module_name="jaeger_thrift")
STRING, DOUBLE, BOOL, LONG, BINARY = range(5)


def batch_of(*spans, process=None):
    return idl.Batch(process=process or idl.Process(serviceName="shop"), spans=list(spans))


def span(**fields):
    return idl.Span(**{"traceIdLow": 1, "spanId": 2, "startTime": 5, "duration": 7} | fields)


def tag(key, kind, value):
    return idl.Tag(
        key=key, vType=kind, **{("vStr", "vDouble", "vBool", "vLong", "vBinary")[kind]: value}
    )


def binary(batch):
    buffer = TMemoryBuffer()
    TBinaryProtocol(buffer).write_struct(batch)
    return buffer.getvalue()


def datagram(batch, protocol):
    buffer = TMemoryBuffer()
    written = protocol(buffer)
    written.write_message_begin("emitBatch", TMessageType.ONEWAY, 1)
    written.write_struct(idl.Agent.emitBatch_args(batch=batch))
    written.write_message_end()
    return buffer.getvalue()


def spans_of(normalised):
    data = TracesData.FromString(normalised.payload)
    return [
        each for r in data.resource_spans for scope in r.scope_spans for each in scope.spans
    ], normalised.rejected


def spans_in(batch):
    return spans_of(payload_from_binary(binary(batch)))


def attributes_of(message):
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in message}


def test_what_jaeger_client_sends():
    """A datagram of jaeger-client 4.8: two spans, with tags of every type, logs, an error and a parent."""
    sent = PYTHON_CLIENT.golden["compact"].read_bytes()
    (child, parent), rejected = spans_of(payload_from_call(sent))
    assert not rejected
    assert (child.name, parent.name) == ("child", "parent")
    assert child.parent_span_id == parent.span_id
    assert child.trace_id == parent.trace_id
    assert child.status.code == 2
    assert parent.kind == SpanMessage.SPAN_KIND_SERVER
    assert attributes_of(parent.attributes) == {
        "sampler.type": "const",
        "sampler.param": True,
        "http.method": "GET",
        "n": 5,
        "f": 0.5,
        "b": True,
    }
    assert [event.name for event in child.events] == ["error"]
    assert attributes_of(child.events[0].attributes) == {
        "message": "no",
        "error.kind": "ValueError",
    }
    assert parent.start_time_unix_nano < child.start_time_unix_nano < parent.end_time_unix_nano
    assert parent.start_time_unix_nano == PYTHON_CLIENT.golden_unix_seconds * SECOND
    assert parent.end_time_unix_nano - parent.start_time_unix_nano == SECOND
    assert child.events[0].time_unix_nano - parent.start_time_unix_nano == SECOND // 2


@pytest.mark.parametrize("ending", OPENTELEMETRY.endings)
def test_what_opentelemetry_sends(ending):
    """Its exporter for Jaeger, over HTTP and to the agent: kinds, status, link, event, and tags of every type."""
    read = {"binary": payload_from_binary, "compact": payload_from_call}[ending]
    found = read(OPENTELEMETRY.golden[ending].read_bytes())
    (call, root), rejected = spans_of(found)
    assert not rejected
    assert (call.name, root.name) == ("SELECT", "GET /order")
    assert (call.kind, root.kind) == (SpanMessage.SPAN_KIND_CLIENT, SpanMessage.SPAN_KIND_SERVER)
    assert (call.trace_id, call.parent_span_id) == (root.trace_id, root.span_id)
    assert (call.status.code, call.status.message) == (2, "no such table")
    start = (OPENTELEMETRY.golden_unix_seconds + OPENTELEMETRY.endings.index(ending)) * SECOND
    assert (root.start_time_unix_nano, root.end_time_unix_nano) == (start, start + SECOND)
    assert (call.start_time_unix_nano, call.end_time_unix_nano) == (
        start + SECOND // 4,
        start + 3 * SECOND // 4,
    )
    tags = attributes_of(root.attributes)
    expected = {"http.method": "GET", "n": 5, "f": 0.5, "b": True, "list": "('x', 'y')"}
    assert tags.items() >= expected.items()
    (link,) = root.links
    assert (link.trace_id, link.span_id) == (b"\xee" * 16, b"\xee" * 8)
    (event,) = root.events
    # It does not name the field `event`, from which Jaeger takes an event's name.
    assert event.name == ""
    assert attributes_of(event.attributes) == {"key": "u-1", "message": "cache miss"}
    assert event.time_unix_nano == start + SECOND // 8
    (resource_spans,) = TracesData.FromString(found.payload).resource_spans
    assert attributes_of(resource_spans.resource.attributes) == {"service.name": "OTel-Jaeger"}


def test_golden_of_every_client():
    """There is no golden file that no client sends."""
    sent = [*PYTHON_CLIENT.golden.values(), *OPENTELEMETRY.golden.values()]
    assert sorted(sent[0].parent.glob("*.bin")) == sorted(sent)


def test_process_tags_are_the_resource():
    """A process's name and tags are the resource's; a `service.name` among the tags does not count."""
    tags = [
        tag("ip", LONG, 2130706433),
        tag("service.name", STRING, "other"),
    ]
    batch = batch_of(span(), process=idl.Process(serviceName="shop", tags=tags))
    (resource_spans,) = TracesData.FromString(
        payload_from_binary(binary(batch)).payload
    ).resource_spans
    assert attributes_of(resource_spans.resource.attributes) == {
        "service.name": "shop",
        "ip": 2130706433,
    }


def test_ids_are_unsigned():
    """Thrift's integers are signed, ids are not."""
    ((found,), _) = spans_in(batch_of(span(traceIdHigh=-1, traceIdLow=-2, spanId=-3)))
    assert found.trace_id.hex() == "fffffffffffffffffffffffffffffffe"
    assert found.span_id.hex() == "fffffffffffffffd"


@pytest.mark.parametrize(
    ("tags", "code"),
    [
        ([tag("error", BOOL, True)], 2),
        ([tag("error", BOOL, False)], 0),
        ([tag("otel.status_code", STRING, "OK")], 1),
        ([tag("otel.status_code", STRING, "ERROR")], 2),
        ([tag("http.status_code", LONG, 404)], 2),
        (
            [
                tag("http.status_code", LONG, 404),
                tag("span.kind", STRING, "server"),
            ],
            0,
        ),
        (
            [
                tag("span.kind", STRING, "server"),
                tag("http.status_code", LONG, 503),
            ],
            2,
        ),
        ([tag("error", STRING, "true")], 2),
        ([tag("error", STRING, "True")], 2),
        ([tag("error", STRING, "timeout")], 0),
        ([tag("error", LONG, 1)], 0),
        ([tag("error", BOOL, True), tag("otel.status_code", STRING, "OK")], 2),
        ([tag("error", BOOL, False), tag("http.status_code", LONG, 500)], 2),
        ([tag("otel.status_code", STRING, "error")], 2),
        ([tag("otel.status_code", STRING, "STATUS_CODE_ERROR")], 2),
        ([tag("otel.status_code", LONG, 2)], 2),
        ([tag("otel.status_code", STRING, "1")], 1),
        ([tag("otel.status_code", BOOL, True)], 0),
        ([tag("otel.status_code", STRING, "UNSET"), tag("http.status_code", LONG, 500)], 0),
        ([tag("otel.status_code", STRING, "ok"), tag("http.status_code", LONG, 500)], 1),
        ([tag("http.status_code", STRING, "500")], 2),
        ([tag("http.response.status_code", STRING, "+404")], 2),
        ([tag("http.status_code", STRING, "5xx")], 0),
        ([tag("http.status_code", LONG, 399)], 0),
        ([tag("http.status_code", LONG, 0)], 2),
        ([tag("http.status_code", DOUBLE, 500.0)], 0),
        ([tag("span.kind", STRING, "server"), tag("http.status_code", STRING, "404")], 0),
        ([tag("span.kind", STRING, "server"), tag("http.status_code", LONG, 600)], 2),
    ],
)
def test_the_status_comes_from_tags_in_any_order(tags, code):
    """The status is `error`, else the code's tag, else what HTTP's status means for the kind: in whatever order."""
    for ordered in (tags, tags[::-1]):
        ((found,), _) = spans_in(batch_of(span(tags=ordered)))
        assert found.status.code == code


@pytest.mark.parametrize(
    ("tags", "message", "left"),
    [
        ([tag("error", STRING, "true")], "", set()),
        ([tag("error", STRING, "timeout")], "", {"error"}),
        ([tag("otel.status_code", STRING, "UNSET")], "", {"otel.status_code"}),
        ([tag("otel.status_code", STRING, "error")], "", set()),
        (
            [tag("error", BOOL, True), tag("http.status_message", STRING, "Bad Gateway")],
            "Bad Gateway",
            {"http.status_message"},
        ),
        (
            [
                tag("error", BOOL, True),
                tag("http.status_message", STRING, "Bad Gateway"),
                tag("otel.status_description", STRING, "no upstream"),
            ],
            "no upstream",
            {"http.status_message"},
        ),
        ([tag("http.status_message", STRING, "OK")], "", {"http.status_message"}),
    ],
)
def test_what_became_the_status_is_no_attribute(tags, message, left):
    """A tag that is the status is told by it alone, every other stays; HTTP's message stands in for a missing one."""
    ((found,), _) = spans_in(batch_of(span(tags=tags)))
    assert found.status.message == message
    assert attributes_of(found.attributes).keys() == left


def test_references_are_the_parent_and_links():
    """The parent is the span's own field, or a child-of reference into its trace; all others are links."""
    references = [
        idl.SpanRef(refType=0, traceIdLow=1, traceIdHigh=0, spanId=9),
        idl.SpanRef(refType=1, traceIdLow=1, traceIdHigh=0, spanId=8),
        idl.SpanRef(refType=0, traceIdLow=77, traceIdHigh=0, spanId=7),
    ]
    ((found,), _) = spans_in(batch_of(span(references=references)))
    assert found.parent_span_id.hex() == "0000000000000009"
    assert [
        (link.span_id[-1], attributes_of(link.attributes)["opentracing.ref_type"])
        for link in found.links
    ] == [(8, "follows_from"), (7, "child_of")]


CHILD_OF, FOLLOWS_FROM = 0, 1


def reference(kind, span_id, trace=1):
    return idl.SpanRef(refType=kind, traceIdLow=trace, traceIdHigh=0, spanId=span_id)


@pytest.mark.parametrize(
    ("references", "parent", "links"),
    [
        ([(FOLLOWS_FROM, 9)], 9, [(9, "follows_from")]),
        ([(FOLLOWS_FROM, 8), (CHILD_OF, 9)], 9, [(8, "follows_from")]),
        ([(FOLLOWS_FROM, 8), (FOLLOWS_FROM, 9)], 8, [(8, "follows_from"), (9, "follows_from")]),
        ([(FOLLOWS_FROM, 7, 77), (FOLLOWS_FROM, 9)], 9, [(7, "follows_from"), (9, "follows_from")]),
        ([(CHILD_OF, 7, 77), (FOLLOWS_FROM, 9)], 9, [(7, "child_of"), (9, "follows_from")]),
        ([(FOLLOWS_FROM, 7, 77)], 0, [(7, "follows_from")]),
        ([(FOLLOWS_FROM, 2)], 0, [(2, "follows_from")]),
        ([(FOLLOWS_FROM, 0)], 0, []),
    ],
)
def test_a_span_that_only_follows_has_a_parent(references, parent, links):
    """Without a parent's id a child-of reference into the own trace is the parent, else a follows-from."""
    ((found,), _) = spans_in(batch_of(span(references=[reference(*each) for each in references])))
    assert int.from_bytes(found.parent_span_id, "big") == parent
    assert [
        (link.span_id[-1], attributes_of(link.attributes)["opentracing.ref_type"])
        for link in found.links
    ] == links


def test_the_parents_own_field_comes_first():
    """A span that says its parent has that one, whatever its references are."""
    references = [reference(FOLLOWS_FROM, 8), reference(CHILD_OF, 9)]
    ((found,), _) = spans_in(batch_of(span(parentSpanId=5, references=references)))
    assert found.parent_span_id[-1] == 5
    assert [link.span_id[-1] for link in found.links] == [8, 9]


def test_scope_and_trace_state():
    """Tags that OpenTelemetry's exporter wrote go back to the fields that they came from."""
    tags = [
        tag("otel.scope.name", STRING, "flask"),
        tag("otel.library.version", STRING, "1.0"),
        tag("w3c.tracestate", STRING, "a=b"),
        tag("otel.status_description", STRING, "no"),
    ]
    payload = payload_from_binary(binary(batch_of(span(tags=tags)))).payload
    ((scope_spans,),) = [each.scope_spans for each in TracesData.FromString(payload).resource_spans]
    (found,) = scope_spans.spans
    assert (scope_spans.scope.name, scope_spans.scope.version) == ("flask", "1.0")
    assert (found.trace_state, found.status.message) == ("a=b", "no")
    assert not found.attributes


def test_neighbours_of_bad_spans_stay():
    """A span without an id, or with an all-zero one, is counted; the others are stored."""
    batch = batch_of(
        idl.Span(spanId=1), span(spanId=0), span(traceIdLow=0), span(operationName="good")
    )
    found, rejected = spans_in(batch)
    assert len(found) == 1
    assert rejected.total() == 3


def test_fields_of_a_batch_in_any_order():
    """The process may follow the spans, and the last of two lists of spans is the one that counts."""
    process, stop = binary(idl.Batch(process=idl.Process(serviceName="shop")))[:-1], b"\x00"
    first, last = (
        binary(idl.Batch(spans=spans))[:-1]
        for spans in ([span()], [span(spanId=3), span(spanId=4)])
    )
    for body in (process + first + last + stop, first + process + last + stop):
        found, _ = spans_of(payload_from_binary(body))
        assert [each.span_id[-1] for each in found] == [3, 4]
    assert payload_from_binary(last + process + stop) == payload_from_binary(process + last + stop)


@pytest.mark.parametrize("cut_bytes", range(1, 40))
def test_a_batch_that_is_cut_short(cut_bytes):
    """It is refused as a whole, wherever among its spans it ends."""
    body = binary(batch_of(span(), span(spanId=3, operationName="name")))
    with pytest.raises(InvalidPayload, match="not Thrift"):
        payload_from_binary(body[:-cut_bytes])


def test_text_that_is_no_utf8():
    """It is stored with what is broken replaced."""
    body = binary(batch_of(span(operationName="name", tags=[tag("key", STRING, "value")])))
    for text in (b"name", b"key", b"value"):
        body = body.replace(text, b"\xff" + text[1:])
    ((found,), _) = spans_of(payload_from_binary(body))
    assert found.name == "\N{REPLACEMENT CHARACTER}ame"
    assert attributes_of(found.attributes) == {
        "\N{REPLACEMENT CHARACTER}ey": "\N{REPLACEMENT CHARACTER}alue"
    }


def test_no_process():
    """A batch without a process has no service, and is refused."""
    with pytest.raises(InvalidPayload, match="no process"):
        payload_from_binary(binary(idl.Batch(spans=[span()])))


values = st.one_of(
    st.tuples(st.just(STRING), st.text(max_size=20)),
    st.tuples(st.just(DOUBLE), st.floats(allow_nan=False)),
    st.tuples(st.just(BOOL), st.booleans()),
    st.tuples(st.just(LONG), st.integers(-(2**63), 2**63 - 1)),
    st.tuples(st.just(BINARY), st.binary(max_size=20)),
)


@given(tags=st.dictionaries(st.text(max_size=10), values, max_size=6))
def test_tags_keep_key_type_and_value(tags):
    """Through Thrift's bytes, in either protocol, and OTLP's, a tag is the same attribute."""
    tags = {f"x.{key}": value for key, value in tags.items()}
    written = [tag(key, *value) for key, value in tags.items()]
    batch = batch_of(span(tags=written, logs=[idl.Log(timestamp=6, fields=written)]))
    expected = {key: value for key, (_, value) in tags.items()}
    for normalised in (
        payload_from_binary(binary(batch)),
        payload_from_call(datagram(batch, TBinaryProtocol)),
        payload_from_call(datagram(batch, TCompactProtocol)),
    ):
        ((found,), _) = spans_of(normalised)
        assert attributes_of(found.attributes) == expected
        assert attributes_of(found.events[0].attributes) == expected


@given(st.binary(max_size=300))
def test_garbage_is_refused_or_holds_no_spans(body):
    """Bytes that are no batch are refused, or empty of spans; nothing else happens."""
    for read in (payload_from_binary, payload_from_call):
        with suppress(InvalidPayload):
            read(body)


@given(at=st.integers(0, 2_000), value=st.integers(0, 255))
def test_a_damaged_datagram_is_refused_or_stored_in_part(at, value):
    """One byte of a real datagram changed: refused, or stored in part."""
    damaged = bytearray(PYTHON_CLIENT.golden["compact"].read_bytes())
    damaged[at % len(damaged)] = value
    with suppress(InvalidPayload):
        payload_from_call(bytes(damaged))


@pytest.mark.parametrize(
    "body",
    [
        b"\x0c\x00\x63" * 1_000_000,
        b"\x0f\x00\x02\x0c\x7f\xff\xff\xff",
        b"\x0f\x00\x02\x0c\xff\xff\xff\xff",
        b"\x0d\x00\x02\x0b\x0b\x7f\xff\xff\xff",
        b"\x0b\x00\x63\x7f\xff\xff\xff" + bytes(100),
        b"\x82\x81\x00\x09emitBatch" + b"\x1c" * 60_000,
        b"\x82\x81\x00\x09emitBatch\x1c\x19\xfc\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
        b"\x82\x81\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x0d\x00\x63\x02\x02\x00\x00\x75\x30" + b"\x01\x01" * 30_000 + b"\x00",
        b"".join(b"\x02" + number.to_bytes(2, "big") + b"\x01" for number in range(1, 60))
        + b"\x00",
    ],
)
def test_hostile_lengths_and_nesting(body):
    """Lengths beyond the body, nesting without end, and more values than a body may hold are refused at once."""
    for read in (payload_from_binary, payload_from_call):
        with pytest.raises(InvalidPayload):
            read(body)


def test_wrong_types():
    """A field of another type than its own costs its span, and not its neighbour."""
    body = binary(batch_of(span(tags=[tag("key", LONG, 5)]), span(spanId=4)))
    # The tag says that it is a string, and has an integer.
    body = body.replace(
        b"\x08\x00\x02\x00\x00\x00\x03\x0a\x00\x06", b"\x08\x00\x02\x00\x00\x00\x00\x0a\x00\x03"
    )
    found, rejected = spans_of(payload_from_binary(body))
    assert [each.span_id[-1] for each in found] == [4]
    assert rejected.total() == 1
