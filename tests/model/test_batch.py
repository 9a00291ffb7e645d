"""Batches: what is read of spans together is what OpenTelemetry's own parser reads of each."""

from __future__ import annotations

from itertools import chain

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span as OtlpSpan

from chalicelib.model import batch as batch_module
from chalicelib.model.batch import batches_of, spans_of
from chalicelib.model.span import CONSUMER, SERVER, Scopes, Span, is_entry
from chalicelib.model.wire import field
from tests.model.spans import batches
from tests.model.wire_spans import payload_of, raw_spans, spans_as_sdks_write_them
from tests.payloads import CLIENT, Made, span_id, trace_id

some_raws = st.lists(raw_spans, max_size=6)
alike_raws = st.lists(spans_as_sdks_write_them, max_size=6)


def canonical(raw: bytes) -> bytes:
    return OtlpSpan.FromString(raw).SerializeToString(deterministic=True)


def check(span: Span) -> None:
    """A span is as OpenTelemetry's parser reads its bytes."""
    read = OtlpSpan.FromString(span.raw)
    parent = read.parent_span_id if read.parent_span_id != bytes(8) else b""
    kind = read.kind if 0 <= read.kind <= CONSUMER else 0
    assert span[:9] == (
        read.trace_id,
        read.span_id,
        parent,
        read.name,
        kind,
        read.start_time_unix_nano,
        max(0, read.end_time_unix_nano - read.start_time_unix_nano),
        read.status.code == 2,
        is_entry(kind, parent, read.flags),
    )
    assert list(map(KeyValue.FromString, span.attributes)) == list(read.attributes)
    assert list(map(OtlpSpan.Event.FromString, span.raw_events)) == list(read.events)
    assert list(map(OtlpSpan.Link.FromString, span.raw_links)) == list(read.links)
    assert span.scope.service == "shop"


@settings(deadline=None, max_examples=200)
@given(some_raws | alike_raws)
def test_in_order(raws):
    """Spans of a payload come in its order, each as its own bytes say."""
    found = list(spans_of(payload_of(raws), Scopes()))
    assert [span.raw for span in found] == raws
    for span in found:
        check(span)


@settings(deadline=None)
@given(st.lists(some_raws, max_size=3), st.integers(1, 5))
def test_each_span_is_in_one_batch_as_its_bytes_say(raws_of_payloads, together):
    """However spans are sent, and however many are read at once, each is in a batch once, as its own bytes say.

    What begins as no canonical span does is canonical then.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batch_module, "_TOGETHER_MAX", together)
        found = list(batches_of(map(payload_of, raws_of_payloads)))
    spans = [span for batch in found for span in batch.spans()]
    sent = chain.from_iterable(raws_of_payloads)
    assert sorted(canonical(span.raw) for span in spans) == sorted(map(canonical, sent))
    assert all(
        batch.raws == list(map(canonical, batch.raws)) for batch in found if not batch.remainders
    )
    for span in spans:
        check(span)


@given(some_raws)
def test_runs_are_all_spans_in_order_each_of_one_trace(raws):
    """Runs are all of a batch's spans, in order, each of one trace."""
    for batch in batches_of([payload_of(raws)]):
        places = [
            (place, trace_id)
            for trace_id, start, end in batch.runs()
            for place in range(start, end)
        ]
        assert places == list(enumerate(batch.trace_ids))


@given(alike_raws)
def test_the_parts_of_a_span_are_all_there_is_in_order(raws):
    """Of spans that were cut, the parts are all there is, in the order in which they were sent."""
    for batch in batches_of([payload_of(raws)]):
        if batch.remainders:
            for place, raw in enumerate(batch.raws):
                times = batch.start_times_unix_nano[place], batch.durations_nano[place]
                parent = batch.remainders.parents[place]
                prefix, named, rest = batch.remainders.texts[3 * place : 3 * place + 3]
                assert prefix + named + rest == field(2, named + rest)
                name = named.index(b"*") if named.startswith(b"\x1a") else 0
                assert raw == b"".join(
                    (
                        b"\n\x10" + batch.trace_ids[place] + b"\x12\x08" + batch.span_ids[place],
                        named[:name],
                        parent and b'"\x08' + parent,
                        named[name:],
                        b"9" + times[0].to_bytes(8, "little"),
                        b"A" + sum(times).to_bytes(8, "little"),
                        rest,
                    )
                )


BEGINNING = b"".join(
    (
        *(field(1, trace_id(1)), field(2, span_id(1)), field(4, span_id(2)), field(5, b"GET")),
        *(b"0\x01", b"9" + bytes(8), b"A" + bytes(8)),
    )
)
REMOTE, LOCAL = b"\x85\x01\x01\x03\x00\x00", b"\x85\x01\x01\x01\x00\x00"
FAILED, WELL = field(15, b"\x18\x02"), field(15, b"\x18\x01")


@pytest.mark.parametrize(
    "rests",
    [
        pytest.param((LOCAL + REMOTE, b"", LOCAL), id="twice, never, once"),
        pytest.param((WELL + FAILED, b"", WELL), id="statuses twice, never, once"),
        pytest.param((b"\x82\x01\x04\x01\x03\x00\x00",), id="flags written as bytes"),
        pytest.param((b"", b"\x85\x01\x4d\x00\x00\x00", REMOTE), id="flags as between spans"),
    ],
)
def test_fields_out_of_place(rests):
    """A span's flags and status are its own, also where the columns of all spans have as many values as spans."""
    raws = [BEGINNING + rest for rest in rests]
    for span in spans_of(payload_of(raws), Scopes()):
        check(span)


def test_a_kind_that_looks_like_a_time():
    """A kind of several bytes is none of the times, though its second byte is a start's tag."""
    ids = field(1, trace_id(1)) + field(2, span_id(1))
    start, end = (0x41 << 56).to_bytes(8, "little"), (0x42 << 56).to_bytes(8, "little")
    for kind in (b"0\x80\x39", b"0\x02"):
        (batch,) = batches_of([payload_of([ids + b"*\x03GET" + kind + b"9" + start + b"A" + end])])
        (span,) = batch.spans()
        check(span)


def test_what_sdks_write_is_cut():
    """Spans as OpenTelemetry's SDKs write them are cut, and do not suffer from one that is not."""
    usual = [Made(1, i, parent=i - 1, kind=CLIENT, attributes=(("a", "b"),)) for i in range(1, 5)]
    (batch,) = batches(usual)
    assert batch.remainders
    with_others = batches([*usual, Made(1, 9, name="n" * 200), Made(2, 10, start=0)])
    assert [(len(batch.raws), batch.remainders is not None) for batch in with_others] == [
        (4, True),
        (2, False),
    ]


def test_one_with_a_field_again():
    """A span that has its kind again further on, as bytes, is alone in not being cut."""
    usual = [batches([Made(1, i)])[0].raws[0] for i in range(1, 9)]
    found = list(batches_of([payload_of([*usual, usual[0] + field(6, b"\x02")])]))
    assert sum(len(batch.raws) for batch in found if batch.remainders) == 8
    assert [batch.kinds for batch in found if not batch.remainders] == [[SERVER]]


def test_of_one_trace_together():
    """Spans of a trace that came in several payloads are next to each other."""
    (batch,) = batches_of(
        [
            payload_of([batches([Made(trace, i)])[0].raws[0] for trace in (1, 2, 3)])
            for i in (1, 2, 3)
        ]
    )
    assert [end - start for _, start, end in batch.runs()] == [3, 3, 3]
