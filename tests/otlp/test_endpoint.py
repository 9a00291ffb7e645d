"""POST /v1/traces, from headers and body to the answer and the messages that were sent."""

from __future__ import annotations

import gzip
import json
import time
import tracemalloc
import zlib
from random import Random
from typing import TYPE_CHECKING

import pytest
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, TracesData

from bench.encodings import as_collector_writes, as_dotnet_writes
from chalicelib import config
from chalicelib.errors import StoreThrottled
from chalicelib.model.batch import spans_of
from chalicelib.model.span import Scopes
from chalicelib.model.wire import field
from chalicelib.model.zstd import compress
from chalicelib.otlp.endpoint import receive_traces, refuse_signal
from chalicelib.queue.message import payload_of
from tests.encodings import anyhow
from tests.payloads import NOON_UNIX_SECONDS, Made, payload, trace_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chalicelib.http.answer import Answer
    from chalicelib.queue.message import Message

PROTOBUF = {"content-type": "application/x-protobuf"}
JSON = {"content-type": "application/json"}
GOOD = payload([Made(1, 1), Made(1, 2, parent=1)])


class Sent:
    """Takes what is sent."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    def send(self, messages: Sequence[Message]) -> None:
        self.messages += messages

    @property
    def payloads(self) -> list[bytes]:
        limit = config.UNCOMPRESSED_BYTES_MAX
        return [payload_of(config.TENANT, message, limit) for message in self.messages]

    @property
    def span_ids(self) -> set[int]:
        spans = (span for each in self.payloads for span in spans_of(each, Scopes()))
        return {int.from_bytes(span.span_id, "big") for span in spans}


def post(body: bytes, headers: dict[str, str] | None = None) -> tuple[Answer, Sent]:
    sent = Sent()
    answer = receive_traces(
        PROTOBUF if headers is None else headers, body, NOON_UNIX_SECONDS, sent.send
    )
    return answer, sent


def partial(answer: Answer) -> tuple[int, str]:
    assert answer.status == 200
    success = ExportTraceServiceResponse.FromString(answer.body).partial_success
    return success.rejected_spans, success.error_message


def as_json(body: bytes) -> bytes:
    """The OTLP/JSON of a protobuf body, made by protobuf's own mapping and hexadecimal ids."""
    document = MessageToDict(TracesData.FromString(body), use_integers_for_enums=True)
    for resource_spans in document["resourceSpans"]:
        for scope_spans in resource_spans["scopeSpans"]:
            original = TracesData.FromString(body)
            for span in scope_spans["spans"]:
                for name in ("traceId", "spanId", "parentSpanId"):
                    if name in span:
                        span[name] = _hexadecimal(span[name])
            del original
    return json.dumps(document).encode()


def _hexadecimal(text: str) -> str:
    import base64

    return base64.b64decode(text).hex()


def test_good_protobuf_is_its_own_payload() -> None:
    """A request without fault is stored byte for byte, and its answer is an empty message."""
    answer, sent = post(GOOD)
    assert (answer.status, answer.body, sent.payloads) == (200, b"", [GOOD])
    assert answer.headers["Content-Type"] == "application/x-protobuf"


@pytest.mark.parametrize(
    "spell", [bytes, as_collector_writes, as_dotnet_writes, lambda b: anyhow(b, Random(1))]
)
def test_json_and_protobuf_of_the_same_spans_are_one_message(spell) -> None:
    """An OTLP/JSON request becomes the message that protobuf makes of the same, and is answered in JSON."""
    answer, sent = post(as_json(GOOD), JSON)
    assert (answer.status, answer.body) == (200, b"{}")
    assert sent.messages == post(spell(GOOD))[1].messages


@pytest.mark.parametrize("name", ["resource", "scope"])
def test_a_message_that_says_nothing_is_none(name) -> None:
    """A resource or scope without content is the same as none, and a scope without spans is left out."""
    data = TracesData.FromString(GOOD)
    for resource_spans in data.resource_spans:
        resource_spans.ClearField("resource")
        resource_spans.scope_spans[0].ClearField("scope")
    without = data.SerializeToString()
    if name == "resource":
        data.resource_spans[0].resource.SetInParent()
    else:
        data.resource_spans[0].scope_spans[0].scope.SetInParent()
    data.resource_spans.insert(0, ResourceSpans(schema_url="empty"))
    data.resource_spans[1].scope_spans.add(schema_url="empty")
    assert post(data.SerializeToString())[1].payloads == [without]


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "application/x-protobuf; charset=utf-8"},
        {"content-type": "Application/X-Protobuf"},
        {},
        {"content-type": "application/x-protobuf", "content-encoding": "gzip"},
        {"content-type": "application/x-protobuf", "content-encoding": "deflate"},
        {"content-type": "application/x-protobuf", "content-encoding": "identity"},
    ],
)
@pytest.mark.parametrize(
    "encode",
    [lambda b: b, gzip.compress, lambda b: gzip.compress(b[:50]) + gzip.compress(b[50:])],
    ids=["plain", "gzip", "two gzip members"],
)
def test_first_bytes_decide_not_the_headers(headers, encode) -> None:
    """A body is stored whatever its headers say of it: API Gateway may have decompressed it or not."""
    answer, sent = post(encode(GOOD), headers)
    assert (answer.status, sent.payloads) == (200, [GOOD])


@pytest.mark.parametrize("wbits", [15, -15], ids=["zlib", "raw"])
def test_deflate_in_both_forms(wbits) -> None:
    """Content-Encoding deflate is zlib by the standard, and raw from some senders: both are taken."""
    stream = zlib.compressobj(wbits=wbits)
    body = stream.compress(GOOD) + stream.flush()
    answer, sent = post(body, {**PROTOBUF, "content-encoding": "deflate"})
    assert (answer.status, sent.payloads) == (200, [GOOD])


@pytest.mark.parametrize("wbits", [15, -15], ids=["zlib", "raw"])
def test_zlib_is_deflate(wbits) -> None:
    """The Collector's name for deflate is understood."""
    stream = zlib.compressobj(wbits=wbits)
    body = stream.compress(GOOD) + stream.flush()
    answer, sent = post(body, {**PROTOBUF, "content-encoding": "zlib"})
    assert (answer.status, sent.payloads) == (200, [GOOD])


def test_one_zstd_frame_within_bounds_is_understood() -> None:
    """One zstd frame is understood; a damaged one, a bomb, or one that wants a large window is refused."""
    headers = {**PROTOBUF, "content-encoding": "zstd"}
    answer, sent = post(compress(GOOD), headers)
    assert (answer.status, sent.payloads) == (200, [GOOD])
    assert post(compress(GOOD)[:-1], headers)[0].status == 400
    assert post(compress(GOOD) + b"x", headers)[0].status == 400
    assert post(compress(bytes(config.UNCOMPRESSED_BYTES_MAX + 1)), headers)[0].status == 413
    # The window's size is in the second byte of a frame's header: 2^10 times 2^17.
    wide = b"\x28\xb5\x2f\xfd\x00" + bytes((17 << 3,)) + b"\x01\x00\x00"
    assert post(wide, headers)[0].status == 400


def test_gzip_members_have_a_bound() -> None:
    """A body in as many members as tools make of it is read; one in very many is refused, and says so."""
    pieces = [GOOD[at : at + 1] for at in range(len(GOOD))]
    answer, sent = post(b"".join(map(gzip.compress, pieces)))
    assert (answer.status, sent.payloads) == (200, [GOOD])
    answer, _ = post(gzip.compress(b"") * 2_000)
    assert answer.status == 413
    assert b"gzip members" in answer.body


def test_same_bytes_again_make_the_same_digest() -> None:
    """A client's retry is the same message, also when it compresses differently the second time."""
    (first,), (second,) = post(GOOD)[1].messages, post(gzip.compress(GOOD))[1].messages
    assert first.digest == second.digest


def test_nothing_is_sent_for_no_spans() -> None:
    """A request without spans is a success that costs the queue nothing."""
    for body in (b"", payload([]), b"\x0a\x00"):
        answer, sent = post(body)
        assert (answer.status, answer.body, sent.messages) == (200, b"", [])


BAD_SPANS = {
    "zero trace id": Made(0, 7),
    "zero span id": Made(1, 0),
    "too many attributes": Made(1, 7, attributes=tuple((f"k{i}", "v") for i in range(1_025))),
    "a span of 1 MB": Made(1, 7, attributes=(("big", "x" * 1_000_000),)),
    "an attribute of 400 KB": Made(1, 7, attributes=(("big", "x" * 400_000),)),
    "a resource of 400 KB": Made(1, 7, resource=(("big", "x" * 400_000),)),
}


@pytest.mark.parametrize("bad", BAD_SPANS.values(), ids=BAD_SPANS)
def test_one_bad_span_is_rejected_alone(bad) -> None:
    """A bad span is counted in partial_success with its reason, and its neighbours are stored."""
    answer, sent = post(payload([Made(1, 1), bad, Made(2, 2)]))
    rejected, reason = partial(answer)
    assert (rejected, sent.span_ids) == (1, {1, 2})
    assert "1 rejected: " in reason


@pytest.mark.parametrize("spell", [as_collector_writes, as_dotnet_writes])
@pytest.mark.parametrize("bad", BAD_SPANS.values(), ids=BAD_SPANS)
def test_what_is_left_is_canonical(spell, bad) -> None:
    """Without a bad span the rest is what it would have been alone, whoever wrote it."""
    good = [Made(1, 1), Made(2, 2, attributes=(("a", 1),))]
    _, sent = post(spell(payload([*good, bad])))
    assert sent.payloads == [payload(good)]


LINKS = ((16, 7), (16, 9), (15, 8), (0, 0), (0, 8), (16, 0), (8, 16), (1, 1))
"""Sizes of ids that are none."""


def with_links(*ids: tuple[bytes, bytes]) -> bytes:
    data = TracesData.FromString(GOOD)
    span = data.resource_spans[0].scope_spans[0].spans[0]
    for linked_trace, linked in ids:
        span.links.add(trace_id=linked_trace, span_id=linked, trace_state="a=b")
    return data.SerializeToString()


@pytest.mark.parametrize("as_sent", [bytes, as_collector_writes, as_dotnet_writes])
@pytest.mark.parametrize("others", [[], [Made(0, 1)]], ids=["alone", "beside a bad span"])
def test_bad_links_are_dropped_from_their_spans(as_sent, others) -> None:
    """A link with ids that are none is counted as dropped, and the sender warned; its span and good links stay."""
    good = (trace_id(7), b"\x07" * 8)
    bad = [(b"\x01" * size, b"\x01" * of_span) for size, of_span in LINKS]
    bad += [(bytes(16), good[1]), (good[0], bytes(8))]
    body = with_links(bad[0], good, *bad[1:], good)
    answer, sent = post(as_sent(body + (payload(others) if others else b"")))
    rejected, message = partial(answer)
    assert rejected == len(others)
    assert "links dropped: 10" in message
    assert ("rejected: trace_id" in message) == bool(others)
    expected = TracesData.FromString(with_links(good, good))
    expected.resource_spans[0].scope_spans[0].spans[0].dropped_links_count = len(bad)
    assert sent.payloads == [expected.SerializeToString(deterministic=True)]


def test_bad_links_beside_odd_fields() -> None:
    """A kind that is written as bytes, which is no field of a span, and a damaged one at that, costs no link more."""
    good = (trace_id(7), b"\x07" * 8)
    data = TracesData.FromString(with_links((b"", b""), good))
    data.resource_spans[0].scope_spans[0].spans[0].MergeFromString(b"2\x01\x80")
    answer, sent = post(data.SerializeToString())
    assert partial(answer)[1].startswith("links dropped: 1;")
    (stored,) = map(TracesData.FromString, sent.payloads)
    (link,) = stored.resource_spans[0].scope_spans[0].spans[0].links
    assert (link.trace_id, link.span_id, link.trace_state) == (*good, "a=b")


def test_millions_of_bad_links_cost_little() -> None:
    """Two bytes of link take a fraction of a microsecond, as many as a request can have."""
    ids = field(1, trace_id(1)) + field(2, b"\x01" * 8)
    span = field(2, ids + b"\x6a\x00" * 190_000)
    body = field(1, field(2, span * (config.UNCOMPRESSED_BYTES_MAX // len(span))))
    packed = gzip.compress(body)
    before = time.process_time()
    answer, _ = post(packed)
    assert time.process_time() - before < 10
    assert "links dropped" in partial(answer)[1]


def test_good_links_are_no_warning() -> None:
    """Links as they should be change nothing."""
    body = with_links(*[(trace_id(each), b"\x07" * 8) for each in (1, 2, 3)])
    answer, sent = post(body)
    assert (answer.body, sent.payloads) == (b"", [body])


def test_bad_links_in_json() -> None:
    """A warning in JSON rejects no span."""
    document = json.loads(as_json(GOOD))
    span = document["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
    span["links"] = [
        {"traceId": "abcd", "spanId": "12"},
        {"traceId": "", "spanId": ""},
        {"traceId": "463ac35c9f6413ad", "spanId": "0020000000000001"},
        {"traceId": "0" * 32, "spanId": "0" * 16},
        {},
    ]
    answer, sent = post(json.dumps(document).encode(), JSON)
    success = json.loads(answer.body)["partialSuccess"]
    assert success["rejectedSpans"] == "0"
    assert success["errorMessage"].startswith("links dropped: 5;")
    assert sent.span_ids == {1, 2}


def test_as_many_dropped_links_as_can_be_counted() -> None:
    """The count of dropped links stops at what its field holds."""
    data = TracesData.FromString(with_links((b"", b"")))
    data.resource_spans[0].scope_spans[0].spans[0].dropped_links_count = 2**32 - 1
    (stored,) = post(data.SerializeToString())[1].payloads
    span = TracesData.FromString(stored).resource_spans[0].scope_spans[0].spans[0]
    assert (span.dropped_links_count, list(span.links)) == (2**32 - 1, [])


@pytest.mark.parametrize("size", [0, 1, 8, 15, 17, 32])
@pytest.mark.parametrize("name", ["trace_id", "span_id", "parent_span_id"])
def test_ids_of_wrong_length_are_rejected_alone(name, size) -> None:
    """Ids of every wrong length reject their span only; an empty parent id is no fault."""
    good_sizes = {"trace_id": {16}, "span_id": {8}, "parent_span_id": {0, 8}}[name]
    data = TracesData.FromString(payload([Made(1, 1), Made(1, 2, parent=1)]))
    setattr(data.resource_spans[0].scope_spans[0].spans[1], name, b"\x01" * size)
    answer, sent = post(data.SerializeToString())
    if size in good_sizes:
        assert answer.body == b""
        assert len(sent.span_ids) == 2
    else:
        rejected, reason = partial(answer)
        assert rejected == 1
        assert sent.span_ids == {1}
        assert name in reason


def test_all_spans_bad_is_still_a_partial_success() -> None:
    """A request whose every span is bad is answered as such, and sends nothing."""
    answer, sent = post(payload([Made(0, 1), Made(0, 2)]))
    assert partial(answer)[0] == 2
    assert sent.messages == []


def test_invalid_utf8_rejects_its_span_alone() -> None:
    """A span that no reader could parse is rejected, not the request around it."""
    body = payload([Made(1, 1, name="ok"), Made(1, 2, name="WRONG")]).replace(
        b"WRONG", b"\xff\xfe\xfd\xfc\xfb"
    )
    answer, sent = post(body)
    assert partial(answer)[0] == 1
    assert sent.span_ids == {1}


def test_json_faults_reject_their_span_alone() -> None:
    """Faults of one JSON span (ids, types) reject that span, each with its reason."""
    document = json.loads(as_json(GOOD))
    spans = document["resourceSpans"][0]["scopeSpans"][0]["spans"]
    for bad in (
        {"traceId": "xyz"},
        {"startTimeUnixNano": "soon"},
        {"attributes": 7},
        {"spanId": 12},
    ):
        spans.append({**spans[0], **bad})
    answer, sent = post(json.dumps(document).encode(), JSON)
    success = json.loads(answer.body)["partialSuccess"]
    assert success["rejectedSpans"] == "4"
    assert sent.span_ids == {1, 2}


@pytest.mark.parametrize(
    "body",
    [
        *(b"\xff\xff\xff\xff", b"hello", GOOD[:-3], b"\x0a\xff\xff\xff\xff\x0f", b"\x00" * 100),
        *(
            gzip.compress(GOOD, mtime=0)[:-12],
            gzip.compress(GOOD, mtime=0) + b"trailing",
            b"\x1f\x8b\x08garbage",
        ),
    ],
)
def test_garbage_is_a_400_in_protobuf(body) -> None:
    """Bytes that are no request are refused for good, with a google.rpc.Status that says why."""
    answer, sent = post(body)
    assert (answer.status, sent.messages) == (400, [])
    assert answer.headers["Content-Type"] == "application/x-protobuf"
    assert answer.body.startswith(b"\x08\x03\x12")


@pytest.mark.parametrize(
    "body",
    [
        *(b"{", b"[]", b"7", b'"x"', b"null", b'{"resourceSpans": 7}', b'{"resourceSpans": [7]}'),
        *(b"[" * 100_000, b'{"a":' * 100_000, b'{"resourceSpans":[{"scopeSpans":{}}]}', b"\xff{"),
        b'{"resourceSpans":[{"resource":{"attributes":' + b"[" * 900 + b"]" * 900 + b"}}]}",
    ],
)
def test_garbage_is_a_400_in_json(body) -> None:
    """JSON that is no request, however deep it is nested, is refused with a readable Status."""
    answer, sent = post(body, JSON)
    assert (answer.status, sent.messages) == (400, [])
    assert json.loads(answer.body)["code"] == 3


def test_deep_nesting_in_protobuf_rejects_its_span_alone() -> None:
    """A value nested deeper than any parser goes is that span's fault alone."""
    from chalicelib.model.wire import field

    value = field(1, b"x")
    for _ in range(10_000):
        value = field(5, field(1, value))
    span = (
        field(1, trace_id(9)) + field(2, b"\x01" * 8) + field(9, field(1, b"k") + field(2, value))
    )
    body = GOOD + field(1, field(2, field(2, span)))
    answer, sent = post(body)
    assert partial(answer)[0] == 1
    assert sent.span_ids == {1, 2}


@pytest.mark.parametrize(
    "media_type", ["text/plain", "application/x-thrift", "multipart/form-data", "x"]
)
def test_other_media_types_are_a_415(media_type) -> None:
    """A media type that OTLP/HTTP does not have is refused by name."""
    answer, sent = post(GOOD, {"content-type": media_type})
    assert (answer.status, sent.messages) == (415, [])
    assert media_type in json.loads(answer.body)["message"]


@pytest.mark.parametrize("coding", ["br", "zstd", "snappy", "gzip, br"])
def test_other_content_encodings_are_a_415(coding) -> None:
    """A compression that API Gateway would refuse too is refused by name."""
    answer, _ = post(GOOD, {**PROTOBUF, "content-encoding": coding})
    assert answer.status == 415


def test_a_bomb_is_refused_within_its_limit() -> None:
    """256 MB in 256 KB are a 413, and no more than the limit is ever unpacked."""
    stream = zlib.compressobj(9, wbits=31)
    bomb = b"".join(stream.compress(bytes(1 << 20)) for _ in range(256)) + stream.flush()
    tracemalloc.start()
    try:
        answer, _ = post(bomb)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert answer.status == 413
    assert peak < 4 * config.UNCOMPRESSED_BYTES_MAX


def test_too_long_a_body_is_a_413() -> None:
    """A body over the limit is refused before anything looks into it."""
    answer, _ = post(bytes(config.BODY_BYTES_MAX + 1))
    assert answer.status == 413


@pytest.mark.parametrize(
    "body",
    [
        gzip.compress(b"\x0a\x00" * 3_000_000, mtime=0),
        gzip.compress(b"\x0a" + b"\x80\xdb\xdb\x02" + (b"\x12\x00" * 2_999_680), mtime=0),
    ],
    ids=["resource spans", "scope spans"],
)
def test_millions_of_empty_groups_are_refused(body) -> None:
    """3 million empty messages in 6 MB are refused before each becomes an object."""
    answer, sent = post(body)
    assert (answer.status in (400, 413), sent.messages) == (True, [])


def test_what_is_no_request_is_said_in_words_of_its_senders() -> None:
    """A body that is not OTLP is told so, without a parser's own words and names."""
    answer, sent = post(b"\x08" + b"\xff" * 11)
    assert (answer.status, sent.messages) == (400, [])
    assert b"is not an OTLP ExportTraceServiceRequest" in answer.body
    assert not any(word in answer.body for word in (b"shadow", b"Error", b"corrupt"))


@pytest.mark.parametrize("start", [0, 1, 7_258_118_400 * 10**9, 2**64 - 1])
def test_odd_times_are_stored(start) -> None:
    """1970, 2200 and the end of 64 bits are times like any other."""
    answer, sent = post(payload([Made(1, 1, start=start, duration=0)]))
    assert (answer.body, sent.span_ids) == (b"", {1})


def test_end_before_start_is_stored() -> None:
    """A span that ends before it starts is kept as sent."""
    answer, sent = post(payload([Made(1, 1, duration=-5)]))
    assert (answer.body, sent.span_ids) == (b"", {1})


def test_a_queue_that_refuses_is_a_503_with_retry_after() -> None:
    """Nothing is acknowledged that the queue has not got, and the sender is told to keep it."""

    def refuse(messages: Sequence[Message]) -> None:
        raise StoreThrottled("full")

    answer = receive_traces(PROTOBUF, GOOD, NOON_UNIX_SECONDS, refuse)
    assert answer.status == 503
    assert answer.headers["Retry-After"] == "5"
    assert answer.body.startswith(b"\x08\x0e\x12")


@pytest.mark.parametrize("signal", ["metrics", "logs"])
def test_other_signals_are_answered_politely(signal) -> None:
    """SDKs that also send metrics or logs get a success that says these were not stored."""
    answer = refuse_signal(JSON, b"{}", signal)
    assert answer.status == 200
    assert signal in json.loads(answer.body)["partialSuccess"]["errorMessage"]


def test_a_large_request_is_split_by_trace_the_same_way_each_time() -> None:
    """A request over a message's size becomes several, none of which cuts a trace that fits; a retry makes the same."""
    spans = [
        Made(trace, trace * 100 + i, attributes=(("text", f"{trace}-{i}-" + "x" * 2_000),))
        for i in range(20)
        for trace in range(1, 61)
    ]
    body = payload(spans)
    assert len(body) > 2 * config.MESSAGE_PAYLOAD_BYTES_MAX
    sent, again = post(body)[1], post(body)[1]
    assert sent.messages == again.messages
    assert sent.span_ids == {made.span for made in spans}
    assert all(len(each) <= config.MESSAGE_PAYLOAD_BYTES_MAX for each in sent.payloads)
    traces = [{span.trace_id for span in spans_of(each, Scopes())} for each in sent.payloads]
    assert sum(map(len, traces)) == 60
    assert sum(message.span_count for message in sent.messages) == len(spans)
