"""Segments: what spans add, whatever message they came in, and in which shard."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from chalicelib.consume.segments import Segment, segments_of
from chalicelib.model.edges import Edges, edges_from
from chalicelib.model.halves import Halves, halves_from
from chalicelib.model.statistics import Statistics, statistics_from, statistics_of
from chalicelib.store.layout import shard_of_service, shard_of_trace
from chalicelib.store.segment import entries_in
from tests.model.spans import batches, made_spans
from tests.payloads import NOON_NANO, Made

Sum = tuple[dict[Any, Statistics], dict[int, Edges], Halves]


def sum_of(segments: list[Segment]) -> Sum:
    statistics: dict[Any, Statistics] = defaultdict(Statistics)
    edges: dict[int, Edges] = defaultdict(Edges)
    halves = Halves(set(), set())
    for segment in segments:
        for entry in entries_in(segment.value):
            if entry.HasField("statistics"):
                statistics[entry.service, entry.minute].add(statistics_from(entry.statistics))
            elif entry.HasField("edges"):
                edges[entry.minute].add(edges_from(entry.edges))
            else:
                part = halves_from(entry.halves)
                halves.callers.update(part.callers)
                halves.callees.update(part.callees)
    return statistics, edges, halves


groups = st.lists(made_spans, max_size=15)


@given(st.lists(groups, max_size=4), st.integers(1, 4))
def test_any_partition(parts, shards):
    """Statistics and whole edges of any partition of spans add up to those of all the spans.

    Half-edges depend on what came with a span; that their calls do not is in `summarise/test_exactness.py`.
    """
    every = [made for part in parts for made in part]
    segments = [segment for part in parts for segment in segments_of(batches(part), shards)]
    assert sum_of(segments)[:2] == sum_of(segments_of(batches(every), shards))[:2]


@given(groups, st.integers(2, 5))
def test_shards_partition(made, shards):
    """Shards hold together what one would, each statistics by its service and each half by its trace."""
    segments = segments_of(batches(made), shards)
    assert sum_of(segments) == sum_of(segments_of(batches(made), 1))
    for segment in segments:
        statistics, _, halves = sum_of([segment])
        assert {shard_of_service(service, shards) for service, _ in statistics} <= {segment.shard}
        trace_ids = {half.trace_id for part in halves for half in part}
        assert {shard_of_trace(trace_id, shards) for trace_id in trace_ids} <= {segment.shard}


@given(groups)
def test_segments_hold_the_statistics_of_the_spans(made):
    """The statistics in segments are those of the spans."""
    assert sum_of(segments_of(batches(made), 1))[0] == statistics_of(batches(made))


@given(groups, st.integers(1, 3))
def test_same_bytes(made, shards):
    """The same spans make the same bytes."""
    assert segments_of(batches(made), shards) == segments_of(batches(made), shards)


def test_no_spans_make_no_segment():
    """No spans make no segment."""
    assert segments_of([], 3) == []


_LETTERS = str.maketrans("0123456789", "ghijklmnop")
"""Digits would be taken for an id, and one name be made of all."""


def test_segments_fit_an_item_each():
    """Segments fit an item each, however much a commit has to say."""
    made = [
        Made(1, i, name=f"{i:0250d}".translate(_LETTERS), start=NOON_NANO + i % 50 * 60 * 10**9)
        for i in range(1, 3_000)
    ]
    segments = segments_of(batches(made), 1)
    assert len(segments) > 1
    assert max(len(segment.value) for segment in segments) < 390_000
    assert sum_of(segments)[0] == statistics_of(batches(made))
