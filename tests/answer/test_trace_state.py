"""Trace state and trace flags: in by every protocol that carries them, out by every answer that can."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from chalicelib.http.request import QueryRequest
from chalicelib.jaeger.ingest import payload_from_binary
from chalicelib.model.zipkin import TRACE_STATE
from chalicelib.present.otlp_json import traces_data_json
from chalicelib.query.trace import trace_by_id
from chalicelib.receive.otlp import payload_from_protobuf
from chalicelib.receive.otlp_json import payload_from_json
from chalicelib.zipkin.ingest import payload_from_json as payload_from_zipkin
from tests.dialects import JAEGER, ZIPKIN
from tests.jaeger.test_ingest import STRING, batch_of, binary, span, tag
from tests.memory_store import MemoryStore
from tests.payloads import NOON_NANO, NOON_UNIX_SECONDS, Made, payload, trace_id
from tests.query.committed import put_payload

MICRO = 1_000
SAMPLED = 1

_keys = st.from_regex(r"[a-z][a-z0-9_*/-]{0,9}(@[a-z][a-z0-9_*/-]{0,9})?", fullmatch=True)
_values = st.from_regex(r"[ -+\--<>-~]{0,9}[!-+\--<>-~]", fullmatch=True)
trace_states = st.dictionaries(_keys, _values, min_size=1, max_size=32).map(
    lambda members: ",".join(f"{key}={value}" for key, value in members.items())
)
"""W3C Trace Context, 3.3.1: up to 32 members, of printable characters other than comma and equals sign."""


def _otlp(trace_state: str, flags: int = 0) -> TracesData:
    data = TracesData.FromString(payload([Made(1, 7)]))
    sent = data.resource_spans[0].scope_spans[0].spans[0]
    sent.trace_state, sent.flags = trace_state, flags
    return data


def in_otlp(trace_state: str) -> bytes:
    return payload_from_protobuf(_otlp(trace_state).SerializeToString()).payload


def in_otlp_json(trace_state: str) -> bytes:
    sent = {
        "traceId": trace_id(1).hex(),
        "spanId": f"{7:016x}",
        "name": "n",
        "startTimeUnixNano": str(NOON_NANO),
        "endTimeUnixNano": str(NOON_NANO),
        "traceState": trace_state,
    }
    body = {"resourceSpans": [{"scopeSpans": [{"spans": [sent]}]}]}
    return payload_from_json(orjson.dumps(body)).payload


def in_jaeger(trace_state: str) -> bytes:
    sent = span(startTime=NOON_NANO // MICRO, tags=[tag(TRACE_STATE, STRING, trace_state)])
    return payload_from_binary(binary(batch_of(sent))).payload


def in_zipkin(trace_state: str) -> bytes:
    sent = {
        "traceId": "1",
        "id": "7",
        "timestamp": NOON_NANO // MICRO,
        "tags": {TRACE_STATE: trace_state, "other": "1"},
    }
    return payload_from_zipkin(orjson.dumps([sent])).payload


def stored(content: bytes) -> MemoryStore:
    store = MemoryStore()
    put_payload(store, content)
    return store


def _asked(answers: dict[str, Any], store: MemoryStore, route: str) -> Any:
    question = QueryRequest(store, {"trace_id": "1"}, {}, {}, b"", NOON_NANO, lambda: True)
    return orjson.loads(answers[route](question).body)


def _span_of(data: Any) -> Any:
    return data["resourceSpans"][0]["scopeSpans"][0]["spans"][0]


def otlp_span(store: MemoryStore) -> Any:
    """What `/v1/traces/{trace_id}` answers."""
    return _span_of(traces_data_json(trace_by_id(store, trace_id(1), NOON_UNIX_SECONDS)))


def jaeger_span(store: MemoryStore) -> Any:
    found = _asked(JAEGER, store, "GET /api/traces/{trace_id}")
    return found["data"][0]["spans"][0]


def out_otlp(store: MemoryStore) -> list[str]:
    return [otlp_span(store)["traceState"]]


def out_jaeger(store: MemoryStore) -> list[str]:
    return [each["value"] for each in jaeger_span(store)["tags"] if each["key"] == TRACE_STATE]


def out_jaeger_v3(store: MemoryStore) -> list[str]:
    found = _asked(JAEGER, store, "GET /api/v3/traces/{trace_id}")
    return [_span_of(found["result"])["traceState"]]


def out_zipkin(store: MemoryStore) -> list[str]:
    (found,) = _asked(ZIPKIN, store, "GET /api/v2/trace/{trace_id}")
    return [found["tags"][TRACE_STATE]]


@pytest.mark.parametrize("put", [in_otlp, in_otlp_json, in_jaeger, in_zipkin])
@settings(deadline=None, max_examples=30)
@given(trace_states)
def test_trace_state_in_every_dialect(put, trace_state):
    """What came in by one protocol goes out by every answer, once and letter for letter."""
    store = stored(put(trace_state))
    for out in (out_otlp, out_jaeger, out_jaeger_v3, out_zipkin):
        assert out(store) == [trace_state], out


@pytest.mark.parametrize("put", [in_otlp, in_otlp_json])
def test_no_trace_state(put):
    """Where there is none, no answer makes one up."""
    store = stored(put(""))
    assert "traceState" not in otlp_span(store)
    assert out_jaeger(store) == []
    (found,) = _asked(ZIPKIN, store, "GET /api/v2/trace/{trace_id}")
    assert TRACE_STATE not in found.get("tags", {})


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32 - 1))
def test_otlp_keeps_all_flags_and_jaeger_shows_the_sampled_bit(flags):
    """OTLP gives all 32 bits back, reserved ones too; Jaeger's answer has the sampled bit alone.

    W3C's second bit is `random`, Jaeger's is `debug`.
    """
    store = stored(payload_from_protobuf(_otlp("", flags).SerializeToString()).payload)
    assert otlp_span(store).get("flags", 0) == flags
    assert jaeger_span(store).get("flags", 0) == flags & SAMPLED


@pytest.mark.parametrize("flags", range(4))
def test_flags_of_jaeger(flags):
    """Jaeger's sampled and debug come back to Jaeger; to OTLP goes what W3C has a bit for."""
    sent = span(startTime=NOON_NANO // MICRO, flags=flags)
    store = stored(payload_from_binary(binary(batch_of(sent))).payload)
    assert jaeger_span(store).get("flags", 0) == flags
    assert otlp_span(store).get("flags", 0) == flags & SAMPLED
