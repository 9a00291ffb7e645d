"""Filters: which traces a step's half-edges have, perhaps; and which they have not, for certain."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from chalicelib.model.clew_pb2 import TraceFilter
from chalicelib.model.frame import seal
from chalicelib.model.trace_filter import short_ids, short_ids_in, trace_filter
from tests.payloads import trace_id

trace_ids = st.lists(st.binary(min_size=16, max_size=16)).map(b"".join)


@given(trace_ids)
def test_a_filter_has_the_short_ids_of_its_traces(ids):
    """A filter has the short ids of its traces, ascending, and no others."""
    stored = trace_filter(ids).SerializeToString(deterministic=True)
    found = short_ids_in(TraceFilter.FromString(stored))
    assert list(found) == sorted(short_ids(ids))
    assert short_ids(ids) == [
        int.from_bytes(ids[end - 5 : end], "big") for end in range(16, len(ids) + 1, 16)
    ]


def test_last_bytes():
    """The last five bytes tell traces apart; what is before them, a time or zeros with some senders, does not."""
    ids = map(trace_id, (1, 1 << 39, 1 << 40 | 1, 1 << 100 | 1))
    assert short_ids(b"".join(ids)) == [1, 1 << 39, 1, 1]


def test_a_trace_takes_four_bytes_of_a_filter():
    """A trace takes about four bytes, as it is stored."""
    some = random.Random(3)
    for count in (1_000, 10_000, 50_000):
        message = trace_filter(some.randbytes(16 * count))
        size = len(seal(message.SerializeToString(deterministic=True)))
        assert 3.4 * count < size < 4.7 * count
