"""A trace by its id, and its summary."""

from __future__ import annotations

import pytest

from chalicelib.errors import NotFound
from chalicelib.query.trace import summary_of, trace_by_id
from tests.payloads import CLIENT, NOON_NANO, NOON_UNIX_SECONDS, Made, trace_id
from tests.query.committed import put

NOW = NOON_UNIX_SECONDS


def test_the_spans_of_several_messages_are_one_trace(store):
    """Spans that came apart are together, by start; copies are one, different spans under one id are all there."""
    first = Made(1, 1, start=NOON_NANO + 2)
    put(store, [first, Made(1, 2, start=NOON_NANO + 1), Made(2, 1)])
    put(store, [Made(1, 3, start=NOON_NANO), first])
    put(store, [first._replace(service="cart")])
    spans = trace_by_id(store, trace_id(1), NOW)
    assert [(int.from_bytes(span.span_id, "big"), span.scope.service) for span in spans] == [
        (3, "shop"),
        (2, "shop"),
        *sorted([(1, "shop"), (1, "cart")], key=[(s.span_id[-1], s.scope.service) for s in spans].index),
    ]  # fmt: skip


def test_an_unknown_trace(store):
    """A trace that is not there is NotFound."""
    with pytest.raises(NotFound):
        trace_by_id(store, trace_id(77), NOW)


@pytest.mark.parametrize(
    ("made", "root"),
    [
        ([Made(1, 1, start=5, parent=9), Made(1, 2, name="root", start=7)], "root"),
        ([Made(1, 1, start=5, parent=9, name="first"), Made(1, 2, start=7, parent=9)], "first"),
        ([Made(1, 1, start=6, name="late"), Made(1, 2, start=5, name="early")], "early"),
    ],
)
def test_the_root(store, made, root):
    """The root is the earliest span without a parent, else the earliest of all."""
    put(store, made)
    assert summary_of(trace_by_id(store, trace_id(1), NOW)).root_span_name == root


def test_a_summary_spans_the_whole_trace(store):
    """A trace lasts from its earliest start to its latest end, also where a child outlives its root."""
    put(
        store,
        [
            Made(1, 1, start=NOON_NANO, duration=10),
            Made(1, 2, "cart", 1, kind=CLIENT, start=NOON_NANO + 5, duration=20, is_error=True),
        ],
    )
    summary = summary_of(trace_by_id(store, trace_id(1), NOW))
    assert (summary.start_time_unix_nano, summary.duration_nano) == (NOON_NANO, 25)
    assert (summary.span_count, summary.error_count, summary.services) == (2, 1, ["cart", "shop"])
