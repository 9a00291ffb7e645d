"""Documents in parts: the same bytes as at once, and never more of them in memory than a part."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.http.stream import PART_BYTES, STREAMED, WHOLE, Array, Object, form_of, parts
from chalicelib.jaeger import render as jaeger
from chalicelib.present import otlp_json
from chalicelib.zipkin import render as zipkin
from tests.model.spans import made_spans, spans
from tests.payloads import Made

DIALECTS = {
    "OTLP": otlp_json.streamed_traces_data,
    "Zipkin": zipkin.streamed_trace,
    "Jaeger": lambda found, form: jaeger.streamed_trace(found, skew_max_nano=10**9, form=form),
    "Jaeger, raw": lambda found, form: jaeger.streamed_trace(found, is_raw=True, form=form),
}


@pytest.mark.parametrize("dialect", DIALECTS)
@given(made=st.lists(made_spans.map(lambda each: each._replace(trace=1)), min_size=1, max_size=9))
def test_a_trace_is_the_same_bytes_in_either_form(dialect, made):
    """Whether a trace is streamed, which depends on its size alone, shows in no byte of an answer."""
    show, found = DIALECTS[dialect], spans(made)
    assert b"".join(parts(show(found, STREAMED))) == orjson.dumps(show(found, WHOLE))


@pytest.mark.parametrize(
    ("made", "form"),
    [
        ([Made(1, number) for number in range(1, 17)], WHOLE),
        ([Made(1, number) for number in range(1, 1_000)], STREAMED),
        ([Made(1, 1, attributes=(("long", "x" * 70_000),))], STREAMED),
        # Zipkin has the resource's attributes on each span.
        ([Made(1, n, resource=(("long", "x" * 9_000),)) for n in range(1, 9)], STREAMED),
    ],
    ids=["few and small", "many", "large", "of a large resource"],
)
def test_only_a_small_trace_is_made_at_once(made, form):
    """What a trace takes in memory before it is written is bounded by the bytes of its spans and their resources."""
    assert form_of(spans(made)) is form


@given(st.lists(st.integers(0, 3 * PART_BYTES), max_size=30))
def test_a_part_ends_with_the_value_that_fills_it(sizes):
    """However small or large values are, and however they are nested, a part exceeds its size by one of them only."""
    made: list[int] = []

    def elements():
        for size in sizes:
            made.append(size)
            yield Object([("value", "x" * size)])

    written = 0
    for part in parts(Object([("data", Array(elements())), ("rest", None)])):
        assert len(part) <= PART_BYTES + max(made, default=0) + 100
        written += len(part)
        # Nothing more is made before this part is taken.
        assert sum(made) <= written
    assert made == sizes
