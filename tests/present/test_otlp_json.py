"""OTLP/JSON: the same as protobuf's own JSON mapping, but for ids, enums and default values."""

from __future__ import annotations

import base64
import math
import time
from typing import Any

import orjson
import pytest
from google.protobuf.json_format import MessageToDict
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.trace.v1.trace_pb2 import Status, TracesData

from chalicelib.model.batch import spans_of
from chalicelib.model.span import Scopes
from chalicelib.present.otlp_json import traces_data_json
from tests.payloads import MILLI, NOON_NANO, Made, payload

_IDS = ("traceId", "spanId", "parentSpanId")


def written(data: TracesData) -> Any:
    """What we answer, as a client reads it."""
    spans = list(spans_of(data.SerializeToString(), Scopes()))
    return orjson.loads(orjson.dumps(traces_data_json(spans)))


def by_protobuf(data: TracesData) -> Any:
    """protobuf's own JSON, with hexadecimal ids."""
    return _hexadecimal(MessageToDict(data, use_integers_for_enums=True))


def _hexadecimal(value: Any) -> Any:
    if isinstance(value, list):
        return [_hexadecimal(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        name: base64.b64decode(each).hex() if name in _IDS else _hexadecimal(each)
        for name, each in value.items()
    }


def full_traces_data() -> TracesData:
    """Every field set."""
    data = TracesData()
    resource_spans = data.resource_spans.add(schema_url="https://resource")
    resource_spans.resource.dropped_attributes_count = 3
    resource_spans.resource.attributes.add(key="service.name").value.string_value = "shop"
    resource_spans.resource.entity_refs.add(
        schema_url="https://entity", type="service", id_keys=["a"], description_keys=["b", "c"]
    )
    scope_spans = resource_spans.scope_spans.add(schema_url="https://scope")
    scope_spans.scope.name = "scope"
    scope_spans.scope.version = "1.0"
    scope_spans.scope.dropped_attributes_count = 4
    scope_spans.scope.attributes.add(key="k").value.int_value = -(2**63)
    span = scope_spans.spans.add(
        trace_id=bytes(range(16)),
        span_id=bytes(range(8)),
        parent_span_id=bytes(range(8, 16)),
        trace_state="a=b",
        flags=0x301,
        name="GET /ä",
        kind=2,
        start_time_unix_nano=NOON_NANO,
        end_time_unix_nano=2**64 - 1,
        dropped_attributes_count=5,
        dropped_events_count=6,
        dropped_links_count=7,
    )
    span.status.code = Status.STATUS_CODE_ERROR
    span.status.message = "broken"
    for key, each in _values().items():
        span.attributes.add(key=key).value.CopyFrom(each)
    event = span.events.add(time_unix_nano=1, name="event", dropped_attributes_count=8)
    event.attributes.add(key="e").value.bool_value = False
    link = span.links.add(
        trace_id=bytes(range(16)),
        span_id=bytes(range(8)),
        trace_state="c=d",
        dropped_attributes_count=9,
        flags=1,
    )
    link.attributes.add(key="l").value.double_value = 0.1
    return data


def _values() -> dict[str, AnyValue]:
    nested = AnyValue()
    nested.kvlist_value.values.add(key="list").value.array_value.values.add().int_value = 1
    array = AnyValue()
    array.array_value.values.extend([AnyValue(string_value="x"), AnyValue(), nested])
    doubles = {"nan": math.nan, "inf": math.inf, "minus": -math.inf, "big": 1e300, "small": 5e-324}
    return {
        "text": AnyValue(string_value="ü\x00\u2028"),
        "no text": AnyValue(string_value=""),
        "zero": AnyValue(int_value=0),
        "large": AnyValue(int_value=2**63 - 1),
        "false": AnyValue(bool_value=False),
        "bytes": AnyValue(bytes_value=bytes(range(256))),
        "array": array,
        "no array": AnyValue(array_value=ArrayValue()),
        **{name: AnyValue(double_value=value) for name, value in doubles.items()},
    }


def test_every_field_is_written_as_protobuf_writes_it():
    """With every field set, only the form of ids and enums differs from protobuf's own JSON."""
    data = full_traces_data()
    assert written(data) == by_protobuf(data)


def test_the_least_span():
    """Fields with their default value are left out, and so are a resource and scope that were not sent."""
    data = TracesData()
    scope_spans = data.resource_spans.add().scope_spans.add()
    scope_spans.spans.add(trace_id=bytes([1] * 16), span_id=bytes([2] * 8))
    span = {"traceId": "01" * 16, "spanId": "02" * 8}
    assert written(data) == {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}


names = st.text(min_size=1, max_size=5)
values: st.SearchStrategy[AnyValue] = st.recursive(
    st.one_of(
        st.builds(AnyValue),
        st.builds(AnyValue, string_value=names),
        st.builds(AnyValue, int_value=st.integers(-(2**63), 2**63 - 1)),
        st.builds(AnyValue, bool_value=st.booleans()),
        st.builds(AnyValue, double_value=st.floats()),
        st.builds(AnyValue, bytes_value=st.binary(max_size=5)),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda of: AnyValue(array_value=ArrayValue(values=of))),
        st.lists(st.tuples(names, inner), max_size=3).map(
            lambda of: AnyValue(
                kvlist_value=KeyValueList(values=[KeyValue(key=k, value=v) for k, v in of])
            )
        ),
    ),
)


@given(st.lists(st.tuples(names, values), max_size=4))
@settings(deadline=None)
def test_any_attribute_is_written_as_protobuf_writes_it(attributes):
    """Values of any type and nesting are those of protobuf's own JSON."""
    data = full_traces_data()
    span = data.resource_spans[0].scope_spans[0].spans[0]
    del span.attributes[:]
    for key, value in attributes:
        span.attributes.add(key=key).value.CopyFrom(value)
    assert written(data) == by_protobuf(data)


def test_spans_of_one_resource_stand_together():
    """Spans of several messages are grouped by resource and scope, in the order of their first span."""
    scopes = Scopes()
    spans = [
        span
        for made in (Made(1, 1, "shop"), Made(1, 2, "cart"), Made(1, 3, "shop"))
        for span in spans_of(payload([made]), scopes)
    ]
    groups = traces_data_json(spans)["resourceSpans"]
    assert [
        [span["spanId"][-1] for scope in group["scopeSpans"] for span in scope["spans"]]
        for group in groups
    ] == [["1", "3"], ["2"]]


@pytest.mark.slow
def test_ten_thousand_spans_take_a_moment():
    """A trace of 10,000 spans with ten attributes each takes well under two seconds of CPU."""
    attributes = tuple((f"key.{n}", n if n % 2 else f"value {n}") for n in range(10))
    made = [Made(1, n, duration=n * MILLI, attributes=attributes) for n in range(1, 10_001)]
    spans = list(spans_of(payload(made), Scopes()))
    start = time.process_time()
    orjson.dumps(traces_data_json(spans))
    assert time.process_time() - start < 2
