"""Packed spans: fewer bytes, and every one of them back."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.errors import StoreError
from chalicelib.model.batch import SpanBatch
from chalicelib.model.span import Span, traces_data
from chalicelib.store.chunk import built_in, chunks_of, traces_data_of
from chalicelib.store.packed import FIRST, FOREIGN, ROOT, WHOLE, Run, pack, runs_by_trace, unpack
from tests.model.spans import batches, made_spans, spans
from tests.payloads import CLIENT, INTERNAL, MILLI, NOON_NANO, Made, trace_id

TRACE = trace_id(1)
PARENT = b'"\x08'
TIMES = b"\x39" + (5).to_bytes(8, "little") + b"\x41" + (9).to_bytes(8, "little")
BEGIN = b"\n\x10" + TRACE + b"\x12\x08"
NAMED = b"*\x03GET"
KIND = b"0\x02"

# What spans may be made of, in any order, whole or not: only some of them are as SDKs write them.
PIECES = [
    *(BEGIN, BEGIN + bytes(8), bytes(8), PARENT, PARENT + bytes(8), NAMED, KIND, TIMES),
    *(b"*\x80", b"*", b"0", b"\x1a\x03a=b", b"J\x02\n\x00", TIMES[:9], TIMES[9:], TIMES[::-1]),
]
raws = st.one_of(
    st.builds(lambda parts: b"".join(parts), st.lists(st.sampled_from(PIECES), max_size=9)),
    st.builds(
        lambda parent, kind, times, rest: BEGIN + bytes(8) + parent + NAMED + kind + times + rest,
        st.sampled_from((b"", PARENT + b"12345678", PARENT)),
        st.sampled_from((b"", KIND, b"0\x80\x01")),
        st.sampled_from((TIMES, TIMES[:12], b"\x39" + b"\xff" * 8 + b"\x41" + bytes(8))),
        st.sampled_from((b"", b"0\x01", b"J\x00", TIMES)),
    ),
    st.binary(max_size=60),
)
SPAN = spans([Made(1, 1)])[0]


def runs_of(of: list[Span]) -> list[Run]:
    """Each span by itself, in a batch that says of it what the span does."""
    scope = Span._fields.index("scope")
    columns: list[list[Any]] = [[[each] for each in span] for span in of]
    return [
        Run(SpanBatch(span.scope, *each[:scope], *each[scope + 1 :]), 0, 1)
        for span, each in zip(of, columns, strict=True)
    ]


def repacked(of: list[Span]) -> bytes:
    return unpack(TRACE, pack(TRACE, runs_of(of)))


def codes_of(of: list[Span]) -> list[int]:
    return list(pack(TRACE, runs_of(of)).texts[: len(of)])


@given(st.lists(made_spans, min_size=1, max_size=12))
def test_lossless(made):
    """What is unpacked are the bytes of TracesData of the spans, grouped."""
    of_one = spans([each._replace(trace=1) for each in made])
    assert repacked(of_one) == traces_data(of_one)


@given(st.lists(raws, min_size=1, max_size=8))
def test_any_bytes(found):
    """Whatever the bytes of spans are, and whatever times they are said to have, none is changed."""
    of_one = [SPAN._replace(raw=raw) for raw in found]
    assert repacked(of_one) == traces_data(of_one)


@given(
    st.lists(st.tuples(st.integers(0, 1 << 61), st.integers(0, 1 << 61)), min_size=1, max_size=9)
)
def test_any_times(times):
    """From the epoch's first nanosecond to 2043, and as long."""
    of_one = spans(
        [Made(1, i, start=start, duration=end) for i, (start, end) in enumerate(times, 1)]
    )
    assert repacked(of_one) == traces_data(of_one)


def test_parents():
    """A parent in the chunk is a place, another one an id of its own."""
    made = [Made(1, 11), Made(1, 12, parent=11), Made(1, 13, parent=99), Made(1, 14, parent=13)]
    assert codes_of(spans(made)) == [ROOT, FIRST, FOREIGN, FIRST + 2]


def test_one_unfit():
    """A span that is written otherwise is whole, and its neighbours are packed all the same."""
    of_one = spans([Made(1, i, parent=i - 1) for i in range(1, 5)])
    of_one[2] = of_one[2]._replace(raw=of_one[2].raw + b"\x0a\x00")
    of_one[1] = of_one[1]._replace(raw=b"J\x00" + of_one[1].raw)
    assert codes_of(of_one) == [ROOT, WHOLE, FOREIGN, FIRST + 1]
    assert repacked(of_one) == traces_data(of_one)


@pytest.mark.parametrize("made", [Made(1, 1, name="n" * 200), Made(1, 1, start=0)])
def test_unfit(made):
    """A long name, and a time that is not there, leave a span whole."""
    assert codes_of(spans([made])) == [WHOLE]


@pytest.mark.parametrize(
    "made", [Made(1, 1, kind=0), Made(1, 1, name="n" * 127), Made(1, 1, duration=0)]
)
def test_fit(made):
    """Without a kind, with a name that is not too long, and in no time, a span is packed."""
    assert codes_of(spans([made])) == [ROOT]


@pytest.mark.parametrize("count", [252, 253, 254, 66_000])
def test_many(count):
    """With more spans than a byte counts, or than two do, each parent is still the right one."""
    of_one = [
        SPAN._replace(
            raw=BEGIN
            + i.to_bytes(8, "big")
            + PARENT
            + (i // 2).to_bytes(8, "big")
            + NAMED
            + KIND
            + TIMES
        )
        for i in range(1, count + 1)
    ]
    of_one = [span._replace(start_time_unix_nano=5, duration_nano=4) for span in of_one]
    packed = pack(TRACE, runs_of(of_one))
    assert len(packed.columns) < 9 * count + 40
    assert unpack(TRACE, packed) == traces_data(of_one)


def test_size():
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
    packed = pack(TRACE, runs_by_trace(batches(made))[TRACE])
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
def test_damaged(data):
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
