"""Filters: which traces a step's half-edges have, perhaps; and which they have not, for certain."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from chalicelib.model.clew_pb2 import TraceFilter
from chalicelib.model.frame import seal
from chalicelib.model.trace_filter import short_ids, short_ids_in, trace_filter
from tests.payloads import trace_id

trace_ids = st.sets(st.binary(min_size=16, max_size=16))


@given(trace_ids)
def test_back(ids):
    """A filter has the short ids of its traces, ascending, and no others."""
    stored = trace_filter(ids).SerializeToString(deterministic=True)
    found = short_ids_in(TraceFilter.FromString(stored))
    assert list(found) == sorted(short_ids(ids))


@given(trace_ids, trace_ids)
def test_never_missed(ids, wanted):
    """A trace that is there is always found, so that one that is not found is not there."""
    if not short_ids(wanted) & short_ids(ids):
        assert not wanted & ids


def test_last_bytes():
    """The last five bytes tell traces apart; what is before them, a time or zeros with some senders, does not."""
    assert len(short_ids(trace_id(n) for n in (1, 1 << 39, 1 << 40 | 1, 1 << 100 | 1))) == 2


def test_size():
    """A trace takes about four bytes, as it is stored."""
    some = random.Random(3)
    for count in (1_000, 10_000, 50_000):
        message = trace_filter(some.randbytes(16) for _ in range(count))
        size = len(seal(message.SerializeToString(deterministic=True)))
        assert 3.4 * count < size < 4.7 * count
