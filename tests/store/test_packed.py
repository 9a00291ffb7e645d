"""Packed spans: fewer bytes, and every one of them back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from chalicelib.errors import StoreError
from chalicelib.model.batch import batches_of, spans_of
from chalicelib.model.span import Scopes
from chalicelib.store.chunk import built_in, chunks_of, traces_data_of
from chalicelib.store.packed import FIRST, FOREIGN, ROOT, WHOLE, pack, runs_by_trace, unpack
from tests.model.spans import batches, made_spans
from tests.model.wire_spans import payload_of, raw_spans
from tests.payloads import CLIENT, INTERNAL, MILLI, NOON_NANO, Made, payload, trace_id

TRACE = trace_id(1)


def repacked(payload: bytes) -> dict[bytes, bytes]:
    """Trace id → TracesData bytes: packed and unpacked."""
    runs = runs_by_trace(batches_of([payload]))
    return {each: unpack(each, pack(of_trace)) for each, of_trace in runs.items()}


def raws_in(*contents: bytes) -> list[bytes]:
    return sorted(span.raw for content in contents for span in spans_of(content, Scopes()))


def codes_of(made: list[Made]) -> list[int]:
    runs = runs_by_trace(batches(made))[TRACE]
    return list(pack(runs).texts[: len(made)])


@given(st.lists(made_spans, max_size=12))
def test_unpacked_spans_are_those_that_were_packed(made):
    """What is unpacked are the spans of each trace, with their resources and scopes."""
    sent = list(spans_of(payload(made), Scopes()))
    for of_trace, content in repacked(payload(made)).items():
        found = list(spans_of(content, Scopes()))
        assert sorted(found) == sorted(span for span in sent if span.trace_id == of_trace)


@given(st.lists(raw_spans, max_size=8))
def test_any_bytes(raws):
    """However a span is spelt, it says the same; in canonical form, not a byte of it is changed."""
    canonical = [Span.FromString(raw).SerializeToString(deterministic=True) for raw in raws]
    assert raws_in(*repacked(payload_of(canonical)).values()) == sorted(canonical)
    found = raws_in(*repacked(payload_of(raws)).values())
    said = [Span.FromString(raw).SerializeToString(deterministic=True) for raw in found]
    assert sorted(said) == sorted(canonical)


@given(
    st.lists(st.tuples(st.integers(0, 1 << 61), st.integers(0, 1 << 61)), min_size=1, max_size=9)
)
def test_any_times(times):
    """From the epoch's first nanosecond to 2043, and as long."""
    made = [Made(1, i, start=start, duration=end) for i, (start, end) in enumerate(times, 1)]
    assert raws_in(repacked(payload(made))[TRACE]) == raws_in(payload(made))


def test_a_parent_in_the_chunk_is_a_place():
    """A parent in the chunk is a place, another one an id of its own."""
    made = [Made(1, 11), Made(1, 12, parent=11), Made(1, 13, parent=99), Made(1, 14, parent=13)]
    assert codes_of(made) == [ROOT, FIRST, FOREIGN, FIRST + 2]


def test_one_unfit():
    """A span that is written otherwise is whole, and its neighbours are packed all the same."""
    made = [
        Made(1, 1),
        Made(1, 2, parent=1, name="n" * 200),
        Made(1, 3, parent=2),
        Made(1, 4, parent=3),
    ]
    assert sorted(codes_of(made)) == sorted([ROOT, WHOLE, FOREIGN, FIRST + 1])


@pytest.mark.parametrize(
    "made",
    [Made(1, 1, name="n" * 200), Made(1, 1, start=0), Made(1, 1, trace_state="a=" + "b" * 126)],
)
def test_spans_that_do_not_fit_stay_whole(made):
    """A long name or trace state, and a time that is not there, leave a span whole."""
    assert codes_of([made]) == [WHOLE]


@pytest.mark.parametrize(
    "made",
    [
        Made(1, 1, kind=0),
        Made(1, 1, name="n" * 127),
        Made(1, 1, duration=0),
        Made(1, 1, trace_state="a=" + "b" * 125),
    ],
)
def test_usual_spans_are_packed(made):
    """Without a kind, in no time, with a name and a trace state that are not too long, a span is packed."""
    assert codes_of([made]) == [ROOT]


def test_trace_states():
    """With a trace state and without one, spans of a trace are packed together, and come back as they were sent."""
    made = [
        Made(1, 1, trace_state="ot=th:8"),
        Made(1, 2, parent=1, trace_state="ot=th:8,es=s:1"),
        Made(1, 3, parent=2),
        Made(1, 4, parent=99, trace_state="ot=th:8"),
    ]
    assert codes_of(made) == [ROOT, FIRST, FIRST + 1, FOREIGN]
    assert raws_in(repacked(payload(made))[TRACE]) == raws_in(payload(made))


@pytest.mark.parametrize("count", [252, 253, 254, pytest.param(66_000, marks=pytest.mark.slow)])
def test_parents_are_right_among_many_spans(count):
    """With more spans than a byte counts, or than two do, each parent is still the right one."""
    made = payload([Made(1, i, parent=i // 2, duration=4) for i in range(1, count + 1)])
    runs = runs_by_trace(batches_of([made]))[TRACE]
    packed = pack(runs)
    assert len(packed.columns) < 9 * count + 40
    assert raws_in(unpack(TRACE, packed)) == raws_in(made)


def test_a_usual_span_takes_sixteen_bytes_of_columns():
    """A usual trace has 16 bytes of columns a span, and a digest of what it holds."""
    made = [
        Made(
            1,
            (i + 1) << 40,
            ("shop", "cart")[i % 2],
            i << 40,
            "GET /",
            CLIENT,
            NOON_NANO + i * MILLI,
            40 * MILLI,
        )
        for i in range(16)
    ]
    packed = pack(runs_by_trace(batches(made))[TRACE])
    assert len(packed.columns) <= 16 * 16
    assert WHOLE not in packed.texts[:16]


def test_older_value():
    """Chunks of older releases, TracesData alone, are read as ever."""
    value = bytes.fromhex(
        "010228b52ffd22419ccef5020024030a620a180a16686f7012460a070a05743b0a100001120800012a096361"
        "0080a1369c9986184180163a370a68124c410222050ffcadc24135ceeaa0eb04b34d6a10671f6acd9e166b2c"
        "b1c9e21f46e316c667e4a905f8b0abd770d604"
    )
    made = [Made(1, 1, name="GET /cart"), Made(1, 2, "cart", 1)]
    (chunk,) = chunks_of(batches(made))
    assert traces_data_of(TRACE, value, built_in()) == traces_data_of(
        TRACE, chunk.value, built_in()
    )


def _read(value: bytes) -> bytes:
    return traces_data_of(TRACE, value, built_in())


@given(st.data())
def test_a_damaged_value_is_read_or_refused(data):
    """A value with any byte changed, left out or added is read, or refused as damaged, and nothing else."""
    made = [Made(1, i, parent=i - 1, kind=INTERNAL) for i in range(1, 6)]
    (chunk,) = chunks_of(batches([*made, Made(1, 9, name="n" * 200)]))
    value = bytearray(chunk.value)
    place = data.draw(st.integers(0, len(value) - 1))
    value[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    try:
        _read(bytes(value))
    except StoreError:
        return
