"""A damaged span between two good ones costs nothing but itself, in every format that tells where a span ends."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from chalicelib.model.batch import spans_of
from chalicelib.model.span import Scopes
from chalicelib.model.wire import field
from tests.fuzz.decoders import NORMALISERS, corpus_of, goes_on
from tests.fuzz.mutate import mutated

GOOD = (0x1111, 0x2222)
"""Span ids of the good ones."""
TRACE = "000000000000000000000000000000ab"
seeds = st.integers(0, 2**32)


def ids_after(name: str, body: bytes) -> set[int]:
    """Span ids of what is accepted; all of it can be stored and read."""
    normalised = NORMALISERS[name](body)
    goes_on(normalised)
    spans = spans_of(normalised.payload, Scopes())
    return {int.from_bytes(span.span_id, "big") for span in spans if span.trace_id.hex() == TRACE}


def _otlp_span(span_id: int) -> bytes:
    data = TracesData()
    span = (
        data.resource_spans.add()
        .scope_spans.add()
        .spans.add(
            trace_id=bytes.fromhex(TRACE),
            span_id=span_id.to_bytes(8, "big"),
            name="good",
            start_time_unix_nano=1_767_268_800 * 10**9,
            end_time_unix_nano=1_767_268_801 * 10**9,
        )
    )
    return span.SerializeToString()


def _raw_otlp_spans() -> list[bytes]:
    return [
        span.SerializeToString()
        for body in corpus_of("otlp-protobuf")
        for resource_spans in TracesData.FromString(body).resource_spans
        for scope_spans in resource_spans.scope_spans
        for span in scope_spans.spans
    ]


@settings(deadline=None, max_examples=100)
@given(seeds)
def test_otlp_protobuf(seed):
    """Whatever the bytes of a span are."""
    corpus, random = _raw_otlp_spans(), Random(seed)
    damaged = mutated(random, random.choice(corpus), corpus)
    first, last = map(_otlp_span, GOOD)
    scope_spans = b"".join(field(2, raw) for raw in (first, damaged, last))
    body = field(1, field(2, scope_spans))
    assert ids_after("otlp-protobuf", body).issuperset(GOOD)


def _zipkin_proto_spans(body: bytes) -> list[bytes]:
    from chalicelib.model.zipkin_spans_pb2 import ListOfSpans

    return list(ListOfSpans.FromString(body).spans)


@settings(deadline=None, max_examples=100)
@given(seeds)
def test_zipkin_proto3(seed):
    """Whatever the bytes of a span are."""
    from chalicelib.model.zipkin_spans_pb2 import Span

    corpus = [raw for body in corpus_of("zipkin-v2-proto3") for raw in _zipkin_proto_spans(body)]
    random = Random(seed)
    damaged = mutated(random, random.choice(corpus), corpus)
    first, last = (
        Span(
            trace_id=bytes.fromhex(TRACE), id=span_id.to_bytes(8, "big"), timestamp=10**15
        ).SerializeToString()
        for span_id in GOOD
    )
    body = b"".join(field(1, raw) for raw in (first, damaged, last))
    assert ids_after("zipkin-v2-proto3", body).issuperset(GOOD)


ODD: list[Any] = [
    *(None, True, False, 0, -1, 1.5, 1e308, 2**63, 2**64, -(2**63)),
    *("", "x", "\u2028", "0" * 40, "f" * 16, "-1", "1e3", "NaN"),
    *([], {}, [None], [[]], [1, "x"], {"x": None}, {"": {}}, {"key": 5}, {"stringValue": {}}),
]


def damaged_json(random: Random, value: Any) -> Any:
    """The value with something else somewhere within, or without something, or with more."""
    if isinstance(value, dict) and value and random.random() < 0.85:
        key = random.choice(list(value))
        choice = random.random()
        if choice < 0.1:
            return {each: kept for each, kept in value.items() if each != key}
        if choice < 0.15:
            return {**value, random.choice(["x", "", "attributes", "tags"]): random.choice(ODD)}
        return {**value, key: damaged_json(random, value[key])}
    if isinstance(value, list) and value and random.random() < 0.85:
        place = random.randrange(len(value))
        return [*value[:place], damaged_json(random, value[place]), *value[place + 1 :]]
    return random.choice(ODD)


def _documents(name: str) -> list[Any]:
    return [orjson.loads(body) for body in corpus_of(name)]


@settings(deadline=None, max_examples=100)
@given(seeds)
def test_otlp_json(seed):
    """Whatever JSON a span is, an object or not."""
    random = Random(seed)
    spans = [
        span
        for document in _documents("otlp-json")
        for resource_spans in document["resourceSpans"]
        for scope_spans in resource_spans["scopeSpans"]
        for span in scope_spans["spans"]
    ]
    good = [{"traceId": TRACE, "spanId": f"{span_id:016x}", "name": "good"} for span_id in GOOD]
    damaged = damaged_json(random, random.choice(spans))
    scope_spans = [{"spans": [good[0], damaged, good[1]]}]
    body = json.dumps({"resourceSpans": [{"scopeSpans": scope_spans}]}).encode()
    assert ids_after("otlp-json", body).issuperset(GOOD)


@pytest.mark.parametrize("version", ["v1", "v2"])
@settings(deadline=None, max_examples=100)
@given(seed=seeds)
def test_zipkin_json(version, seed):
    """Whatever JSON a span is, an object or not; of the other model it may be, which refuses them all."""
    random = Random(seed)
    spans = [span for document in _documents(f"zipkin-{version}-json") for span in document]
    good = [
        {"traceId": TRACE, "id": f"{span_id:016x}", "name": "good", "timestamp": 10**15}
        for span_id in GOOD
    ]
    damaged = damaged_json(random, random.choice(spans))
    other = {"v1": ("tags",), "v2": ("binaryAnnotations",)}[version]
    if isinstance(damaged, dict) and not damaged.keys().isdisjoint(other):
        return
    body = json.dumps([good[0], damaged, good[1]]).encode()
    assert ids_after(f"zipkin-{version}-json", body).issuperset(GOOD)
