"""However a sender writes the same spans, they are stored, counted and answered alike."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.encodings import as_collector_writes, as_dotnet_writes
from chalicelib import config
from chalicelib.consume.consumer import Consumer
from chalicelib.jaeger import render as jaeger
from chalicelib.model.edges import EdgeKind
from chalicelib.model.frame import seal
from chalicelib.native.columns import columns_json
from chalicelib.native.parse import search_from
from chalicelib.otlp.endpoint import receive_traces
from chalicelib.present.otlp_json import traces_data_json
from chalicelib.query.edges import call_counts
from chalicelib.query.search import Conditions
from chalicelib.query.trace import in_order, summary_of, trace_by_id, trace_page
from chalicelib.queue.message import digest_of
from chalicelib.receive.otlp import payload_from_protobuf
from chalicelib.store.chunk import traces_data_of
from chalicelib.store.traces import StoredChunk, distinct_spans
from chalicelib.zipkin import render as zipkin
from tests.consume.records import DeadLetterList, message_of_payload, record_of
from tests.encodings import anyhow
from tests.fuzz.decoders import NORMALISERS, corpus_of
from tests.memory_store import MemoryStore
from tests.model.spans import made_spans
from tests.payloads import (
    CLIENT,
    CONSUMER,
    NOON_NANO,
    NOON_UNIX_SECONDS,
    PRODUCER,
    SERVER,
    Made,
    payload,
    trace_id,
)
from tests.present.test_otlp_json import full_traces_data
from tests.query.committed import DAY, fold, seconds_range

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chalicelib.http.answer import Answer
    from chalicelib.model.span import Span
    from chalicelib.queue.message import Message

PROTOBUF = {"content-type": "application/x-protobuf"}
NOW = NOON_UNIX_SECONDS
SPELLINGS = [
    pytest.param(as_collector_writes, id="a Collector's"),
    pytest.param(as_dotnet_writes, id=".NET's"),
    *[
        pytest.param(lambda body, seed=seed: anyhow(body, Random(seed)), id=f"any {seed}")
        for seed in range(5)
    ],
]
CALLS = [
    Made(1, 1, "shop", kind=SERVER, name="GET /"),
    *[
        Made(1, 2 + place, "shop", parent=1, kind=kind, attributes=attributes)
        for place, (kind, attributes) in enumerate(
            [
                (CLIENT, (("db.system.name", "postgresql"), ("server.address", "db1"))),
                (PRODUCER, (("messaging.destination.name", "orders"), ("messaging.system", "x"))),
                (CLIENT, (("server.address", "pay.example"), ("peer.service", "pay"))),
                (CLIENT, ()),
            ]
        )
    ],
    Made(1, 9, "cart", parent=5, kind=SERVER, is_error=True, events=(("retry", (("n", "1"),)),)),
    Made(2, 1, "mailer", kind=CONSUMER, links=((1, 7),), name=""),
]
EDGES = {
    ("shop", "db1", EdgeKind.DATABASE): (1, 0),
    ("shop", "orders", EdgeKind.MESSAGING): (1, 0),
    ("shop", "pay", EdgeKind.EXTERNAL): (1, 0),
    ("shop", "cart", EdgeKind.RPC): (1, 1),
}


def sent(body: bytes) -> tuple[Answer, list[Message]]:
    messages: list[Message] = []
    return receive_traces(PROTOBUF, body, NOW, messages.extend), messages


def received(body: bytes) -> list[Message]:
    answer, messages = sent(body)
    assert (answer.status, answer.body) == (200, b"")
    return messages


def consumed(messages: Sequence[Message]) -> MemoryStore:
    store, dead_letters = MemoryStore(), DeadLetterList()
    consumer = Consumer(store, dead_letters, lambda: NOON_NANO, shards=1)
    consumer.consume([record_of(message) for message in messages])
    assert not dead_letters.buried
    return store


def answers(store: MemoryStore, trace: int) -> list[Any]:
    page = trace_page(store, trace_id(trace), NOW, with_attributes=True)
    return [
        *dialects(trace_by_id(store, trace_id(trace), NOW)),
        orjson.dumps({**columns_json(page, with_attributes=True), "chunks": None}),
    ]


def dialects(spans: Sequence[Span]) -> list[Any]:
    """A trace in each of them."""
    return [
        traces_data_json(spans),
        zipkin.trace_json(spans),
        jaeger.trace_json(spans, skew_max_nano=0),
        summary_of(spans),
    ]


@settings(deadline=None, max_examples=60)
@given(st.lists(made_spans, min_size=1, max_size=6), st.integers(0, 2**32))
def test_any_encoding(made, seed):
    """Every item that is written is the same to the byte, and so are identity and answers."""
    body = payload(made)
    other = anyhow(body, Random(seed))
    messages, others = received(body), received(other)
    assert messages == others
    # What is carried may be without a secret that was made by chance; the identity is of all that came.
    assert others[0].digest == digest_of(config.TENANT, body)
    assert consumed(messages).items == consumed(others).items


@pytest.mark.parametrize("spell", [as_collector_writes, as_dotnet_writes])
@pytest.mark.parametrize("name", NORMALISERS)
def test_every_door(spell, name):
    """What each door makes of what real clients sent is the same message, if another sender writes it."""
    for body in corpus_of(name):
        payload = NORMALISERS[name](body).payload
        assert sent(spell(payload)) == sent(payload)
        assert payload_from_protobuf(spell(payload)).payload == payload


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32))
def test_every_field(seed):
    """Fields of every type and depth, and such as no schema knows."""
    unknown = b"\xa0\x06\x05\xaa\x06\x01x"
    data = full_traces_data()
    (span,) = data.resource_spans[0].scope_spans[0].spans
    span.MergeFromString(unknown)
    span.attributes[0].MergeFromString(unknown)
    span.status.MergeFromString(unknown)
    body = data.SerializeToString(deterministic=True)
    normalised = payload_from_protobuf(anyhow(body, Random(seed)))
    assert normalised.payload == body
    assert (normalised.span_count, normalised.rejected, normalised.warnings) == (1, {}, ())


@pytest.mark.parametrize("spell", SPELLINGS)
@pytest.mark.parametrize("is_folded", [False, True])
def test_calls_of_every_kind_are_counted_and_named(spell, is_folded):
    """Calls to databases, queues, other services and the outside world count, and Zipkin names whom they reach."""
    (message,) = received(spell(payload(CALLS)))
    store = consumed([message])
    check(store, is_folded)


@pytest.mark.parametrize("spell", SPELLINGS)
def test_messages_of_earlier_releases(spell):
    """What an earlier release put into the queue as its sender wrote it counts and answers as if it came today."""
    written = spell(payload(CALLS))
    assert written != payload(CALLS)
    store = consumed([message_of_payload(written, len(CALLS))])
    check(store, is_folded=True)
    today = consumed(received(payload(CALLS)))
    assert [answers(store, trace) for trace in (1, 2)] == [
        answers(today, trace) for trace in (1, 2)
    ]


@pytest.mark.parametrize("spell", SPELLINGS)
def test_items_of_earlier_releases(spell):
    """What an earlier release stored as its sender wrote it is shown and found as what comes today."""
    written = seal(spell(payload([made for made in CALLS if made.trace == 1])))
    content = traces_data_of(trace_id(1), written, {})
    spans = in_order(distinct_spans([StoredChunk(b"", len(written), content)], 100))
    today = trace_by_id(consumed(received(payload(CALLS))), trace_id(1), NOW)
    assert dialects(spans) == dialects(today)
    for key, text in (("peer.service", "pay"), ("db.system.name", "postgresql")):
        wanted = Conditions(search_from({"attribute": [f"{key}={text}"]}, NOON_NANO))
        assert sum(map(wanted.met_by, spans)) == 1


def check(store: MemoryStore, is_folded: bool) -> None:
    if is_folded:
        fold(store)
    counts = call_counts(store, seconds_range(NOW - DAY, NOW + DAY), NOW)
    assert counts == EDGES
    spans = trace_by_id(store, trace_id(1), NOW)
    remote = {span["id"][-1]: span.get("remoteEndpoint", {}) for span in zipkin.trace_json(spans)}
    names = {span: each["serviceName"] for span, each in remote.items() if each}
    assert names == {"2": "db1", "3": "orders", "4": "pay"}
