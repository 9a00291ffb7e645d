"""Values of attributes in every dialect: one spelling, and what a dialect shows is what its search finds."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from chalicelib.http.request import QueryRequest
from chalicelib.native.parse import search_from
from chalicelib.present.otlp_json import traces_data_json
from chalicelib.query.search import search_traces
from chalicelib.query.trace import trace_by_id
from tests.dialects import JAEGER, ZIPKIN
from tests.memory_store import MemoryStore
from tests.payloads import NOON_NANO, NOON_UNIX_SECONDS, trace_id
from tests.query.committed import put_payload

if TYPE_CHECKING:
    from collections.abc import Sequence

START = NOON_NANO - 60 * 10**9
DAY = {"start": ["1"], "end": [str(NOON_NANO // 10**9 + 1)]}
RANGE = {"start": ["1"], "end": [str(NOON_NANO // 1_000)]}


def stored(values: Sequence[AnyValue]) -> MemoryStore:
    """A trace for each value, of one span with the attribute `v`."""
    data = TracesData()
    resource_spans = data.resource_spans.add()
    resource_spans.resource.attributes.add(key="service.name").value.string_value = "shop"
    spans = resource_spans.scope_spans.add().spans
    for place, value in enumerate(values):
        span = spans.add(
            trace_id=trace_id(place + 1), span_id=b"12345678", start_time_unix_nano=START
        )
        span.attributes.add(key="v").value.CopyFrom(value)
    store = MemoryStore()
    put_payload(store, data.SerializeToString())
    return store


def double(value: float) -> AnyValue:
    return AnyValue(double_value=value)


def text(value: str) -> AnyValue:
    return AnyValue(string_value=value)


def asked(store: Any, answers: Any, route: str, path: dict[str, str], values: Any) -> Any:
    got = answers[route](QueryRequest(store, path, values, {}, b"", NOON_NANO, lambda: True))
    assert got.status == 200, got.body
    return orjson.loads(got.body)


def shown_by_jaeger(store: Any, number: int) -> Any:
    path = {"trace_id": f"{number:x}"}
    (trace,) = asked(store, JAEGER, "GET /api/traces/{trace_id}", path, {})["data"]
    return next(tag["value"] for tag in trace["spans"][0]["tags"] if tag["key"] == "v")


def shown_by_zipkin(store: Any, number: int) -> str:
    path = {"trace_id": f"{number:x}"}
    (span,) = asked(store, ZIPKIN, "GET /api/v2/trace/{trace_id}", path, {})
    shown: str = span["tags"]["v"]
    return shown


def found_by_jaeger(store: Any, wanted: str) -> set[int]:
    values = RANGE | {"service": ["shop"], "tags": [orjson.dumps({"v": wanted}).decode()]}
    found = asked(store, JAEGER, "GET /api/traces", {}, values)["data"]
    return {int(trace["traceID"], 16) for trace in found}


def found_by_zipkin(store: Any, wanted: str) -> set[int]:
    found = asked(store, ZIPKIN, "GET /api/v2/traces", {}, {"annotationQuery": [f"v={wanted}"]})
    return {int(trace[0]["traceId"], 16) for trace in found}


def found_natively(store: Any, wanted: str) -> set[int]:
    search = search_from(DAY | {"attribute": [f"v={wanted}"]}, NOON_NANO)
    found = search_traces(store, search, NOON_UNIX_SECONDS).traces
    return {int.from_bytes(trace.trace_id, "big") for trace in found}


SEARCHES = (found_by_jaeger, found_by_zipkin, found_natively)
NO_NUMBERS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def test_what_is_no_number_has_one_spelling():
    """NaN and the infinities are spelt alike in every dialect, alone and in arrays and maps."""
    alone = list(map(double, NO_NUMBERS.values()))
    mixed = [
        AnyValue(array_value=ArrayValue(values=alone)),
        AnyValue(
            kvlist_value=KeyValueList(
                values=[KeyValue(key=key, value=double(NO_NUMBERS[key])) for key in NO_NUMBERS]
            )
        ),
    ]
    forms = [
        *NO_NUMBERS,
        '["NaN","Infinity","-Infinity"]',
        '{"-Infinity":"-Infinity","Infinity":"Infinity","NaN":"NaN"}',
    ]
    store = stored([*alone, *mixed])
    for number, form in enumerate(forms, start=1):
        assert shown_by_jaeger(store, number) == form
        assert shown_by_zipkin(store, number) == form
        spans = trace_by_id(store, trace_id(number), NOON_UNIX_SECONDS)
        assert form.encode() in orjson.dumps(traces_data_json(spans)) or number > 3
        for search in SEARCHES:
            assert search(store, form) == {number}, search.__name__


@pytest.mark.parametrize("search", SEARCHES)
def test_other_spellings_ask_for_the_double(search):
    """`nan`, `+Inf`, `1e16` and `5.0` find a double, and no text or integer that is spelt differently."""
    values = [
        *(double(math.nan), double(math.inf), double(-math.inf), double(1e16), double(5)),
        *(text("NaN"), text("Infinity"), text("nan"), AnyValue(int_value=5), text("1e16")),
        double(0.5),
    ]
    store = stored(values)
    for wanted, found in {
        "NaN": {1, 6},
        "nan": {1, 8},
        "NAN": {1},
        "Infinity": {2, 7},
        "inf": {2},
        "+Inf": {2},
        "+Infinity": {2},
        "-inf": {3},
        "-INFINITY": {3},
        "1e16": {4, 10},
        "10000000000000000.0": {4},
        "5": {5, 9},
        "5.0": {5},
        ".5": {11},
        "5e-1": {11},
        "9" * 400: set(),
        "1e999": set(),
        "infinite": set(),
        " nan": set(),
        "n": set(),
    }.items():
        expected = found if wanted != " nan" or search is not found_by_zipkin else {1, 8}
        assert search(store, wanted) == expected, wanted


any_values = st.recursive(
    st.text(st.characters(codec="ascii"), max_size=5).map(text)
    | st.floats().map(double)
    | st.integers(-(2**63), 2**63 - 1).map(lambda value: AnyValue(int_value=value))
    | st.booleans().map(lambda value: AnyValue(bool_value=value))
    | st.binary(max_size=5).map(lambda value: AnyValue(bytes_value=value)),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda each: AnyValue(array_value=ArrayValue(values=each)))
        | st.dictionaries(st.text("ab", max_size=2), inner, max_size=3).map(
            lambda each: AnyValue(
                kvlist_value=KeyValueList(
                    values=[KeyValue(key=key, value=value) for key, value in each.items()]
                )
            )
        )
    ),
    max_leaves=4,
)


def _as_typed(shown: Any) -> str:
    return shown if isinstance(shown, str) else orjson.dumps(shown).decode()


@given(any_values)
def test_what_is_shown_can_be_searched(value):
    """Whatever an attribute's value is: the text that Jaeger's and Zipkin's dialects show of it finds its span."""
    store = stored([value])
    shown = _as_typed(shown_by_jaeger(store, 1))
    assert found_by_jaeger(store, shown) == {1}
    assert found_natively(store, shown) == {1}
    of_zipkin = shown_by_zipkin(store, 1)
    # Zipkin's question is a text in which " and " separates, and blanks around a value do not count.
    if of_zipkin.strip() == of_zipkin != "" and " and " not in of_zipkin:
        assert found_by_zipkin(store, of_zipkin) == {1}
