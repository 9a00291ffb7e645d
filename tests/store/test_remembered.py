"""Waiting half-edges that are remembered: each is read once, and none is used that the fold-state does not name."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib import config
from chalicelib.model.clew_pb2 import FoldState
from chalicelib.model.frame import seal
from chalicelib.model.halves import halves_messages
from chalicelib.model.join import known_among
from chalicelib.model.trace_filter import trace_filter
from chalicelib.store import layout
from chalicelib.store.half_edge_cache import HalfEdgeCache, ranges
from tests.memory_store import MemoryStore
from tests.model.spans import halves_and_edges_of
from tests.payloads import CLIENT, Made, span_id, trace_id

SHARD = 3


def keep(store: MemoryStore, sequence: int, *traces: int) -> None:
    """What the fold's step of this number writes: a caller's half of each trace."""
    halves, _ = halves_and_edges_of([Made(trace, 1, kind=CLIENT) for trace in traces])
    (message,) = halves_messages(halves)
    key = {"p": layout.halves_partition(SHARD), "s": layout.halves_sort_key(sequence, 0)}
    value = seal(message.SerializeToString(deterministic=True))
    store.put_batch(config.STATISTICS_TABLE, [{**key, "v": value, "x": 1}])


def keep_filter(store: MemoryStore, sequence: int, *traces: int) -> None:
    key = {"p": layout.filters_partition(SHARD), "s": layout.filter_sort_key(sequence)}
    message = trace_filter(b"".join(map(trace_id, traces)))
    value = seal(message.SerializeToString(deterministic=True))
    store.put_batch(config.STATISTICS_TABLE, [{**key, "v": value, "x": 1}])


def state_of(*sequences: int, folded: int = 100) -> FoldState:
    state = FoldState()
    for sequence in sequences:
        state.pending.add(sequence=sequence, folded_unix_seconds=folded)
    return state


def traces_of(remembered: HalfEdgeCache, store: MemoryStore, state: FoldState) -> list[int]:
    found = remembered.waiting(store, SHARD, state)
    return sorted(int.from_bytes(each, "big") for kept in found for each in kept.trace_ids)


@pytest.fixture
def store() -> MemoryStore:
    store = MemoryStore()
    for sequence in (1, 2, 3):
        keep(store, sequence, 10 + sequence)
    store.calls.clear()
    return store


def test_read_once(store):
    """A second look asks the table nothing; what is new is read, and nothing before it."""
    remembered = HalfEdgeCache()
    assert traces_of(remembered, store, state_of(1, 2)) == [11, 12]
    assert traces_of(remembered, store, state_of(1, 2)) == [11, 12]
    assert store.calls == ["query"]
    assert traces_of(remembered, store, state_of(1, 2, 3)) == [11, 12, 13]
    assert len(store.calls) == 2


def test_named_alone(store):
    """What the fold-state does not name, or no longer, is not there: another fold may have lost, or deleted it."""
    remembered = HalfEdgeCache()
    assert traces_of(remembered, store, state_of(1, 3)) == [11, 13]
    assert traces_of(remembered, store, state_of(3)) == [13]
    assert traces_of(remembered, store, state_of(1)) == [11]


def test_another_database(store):
    """A number that was folded at another time is another step's: the tables were emptied, and filled anew."""
    remembered = HalfEdgeCache()
    traces_of(remembered, store, state_of(1))
    keep(store, 1, 99)
    assert traces_of(remembered, store, state_of(1, folded=200)) == [99]


def test_halves_are_found_within_any_bound_of_memory(store):
    """With room for nothing, or for one of three, all are found, and the rest is read each time."""
    (one,) = HalfEdgeCache().waiting(store, SHARD, state_of(1))
    store.calls.clear()
    for room, reads in ((0, 2), (one.bytes_taken, 2), (10**6, 1)):
        remembered = HalfEdgeCache(room)
        store.calls.clear()
        for _ in range(2):
            assert traces_of(remembered, store, state_of(1, 2, 3)) == [11, 12, 13]
        assert len(store.calls) == reads


def test_room_is_given_back(store):
    """What has served leaves its room to others."""
    (one,) = HalfEdgeCache().waiting(store, SHARD, state_of(1))
    remembered = HalfEdgeCache(one.bytes_taken)
    traces_of(remembered, store, state_of(1))
    traces_of(remembered, store, state_of(2))
    store.calls.clear()
    assert traces_of(remembered, store, state_of(2)) == [12]
    assert store.calls == []


def test_shards_apart(store):
    """One shard's numbers are not another's."""
    remembered = HalfEdgeCache()
    traces_of(remembered, store, state_of(1))
    assert list(remembered.waiting(store, SHARD + 1, state_of(1))) == []


SAME_SHORT_ID = 1 << 40


class Steps(MemoryStore):
    """Steps of two traces each, with filters; notes which steps' halves are queried, and how often filters are."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.state = FoldState()
        for sequence in range(1, count + 1):
            traces = (2 * sequence, 2 * sequence + 1)
            keep(self, sequence, *traces)
            keep_filter(self, sequence, *traces)
            self.state.pending.add(sequence=sequence, folded_unix_seconds=100, has_filter=True)
        self.ranges: list[tuple[int, int]] = []
        self.filter_queries = 0

    def query(self, table, partition, low=None, high=None, **more):
        if partition == layout.halves_partition(SHARD):
            self.ranges.append((layout.sequence_in(low), layout.sequence_in(high)))
        else:
            self.filter_queries += 1
        return super().query(table, partition, low, high, **more)

    def found(self, remembered: HalfEdgeCache, *traces: int) -> set[int]:
        """Numbers of the traces of what is waiting and may have halves of these."""
        kept = remembered.waiting(self, SHARD, self.state, set(map(trace_id, traces)))
        return {int.from_bytes(each, "big") for one in kept for each in one.trace_ids}


@pytest.fixture
def steps() -> Steps:
    return Steps(6)


class TestFilters:
    def test_only_what_could_matter(self, steps):
        """Of steps with filters only those are read that have the wanted traces: neighbours by one query."""
        assert steps.found(HalfEdgeCache(), 4, 7, 12) == {4, 5, 6, 7, 12, 13}
        assert steps.ranges == [(2, 3), (6, 6)]
        assert steps.filter_queries == 1

    def test_no_half_is_read_where_no_step_has_the_trace(self, steps):
        """Where no step has a wanted trace, no half is read."""
        assert steps.found(HalfEdgeCache(), 99) == set()
        assert steps.ranges == []

    def test_a_mistaken_trace_costs_only_a_read(self, steps):
        """A trace that is mistaken for another costs a read."""
        assert steps.found(HalfEdgeCache(), 4 + SAME_SHORT_ID) == {4, 5}

    def test_a_step_without_a_filter_is_read_whole(self, steps):
        """A step without a filter, as older releases wrote them, is read whole; so is one whose filter has expired."""
        steps.state.pending[1].has_filter = False
        del steps.items[
            config.STATISTICS_TABLE, layout.filters_partition(SHARD), layout.filter_sort_key(4)
        ]
        assert steps.found(HalfEdgeCache(), 12) == {4, 5, 8, 9, 12, 13}

    def test_left_over(self, steps):
        """A filter that the fold-state does not name says nothing: that of a step of another time, say."""
        keep(steps, 2, 50)
        steps.state.pending[1].has_filter = False
        assert steps.found(HalfEdgeCache(), 50) == {50}

    def test_no_filters(self, steps):
        """Where no step has a filter, none is asked for, and all is one query."""
        for each in steps.state.pending:
            each.has_filter = False
        assert steps.found(HalfEdgeCache(), 99) == set(range(2, 14))
        assert (steps.ranges, steps.filter_queries) == ([(1, 6)], 0)

    def test_filters_and_halves_are_read_once(self, steps):
        """Filters and halves are read once, and what was read is there for other traces too."""
        remembered = HalfEdgeCache()
        steps.found(remembered, 4)
        assert steps.found(remembered, 5, 10) == {4, 5, 10, 11}
        assert (steps.ranges, steps.filter_queries) == ([(2, 2), (5, 5)], 1)

    def test_all_after_some(self, steps):
        """Who wants all gets all, and reads what is not known yet."""
        remembered = HalfEdgeCache()
        steps.found(remembered, 4, 8)
        assert traces_of(remembered, steps, steps.state) == list(range(2, 14))
        assert steps.ranges == [(2, 2), (4, 4), (1, 1), (3, 3), (5, 6)]

    def test_room_is_given_back(self, steps):
        """What has served leaves its room, and a filter does where the halves are known."""
        remembered = HalfEdgeCache()
        steps.found(remembered, 4)
        traces_of(remembered, steps, steps.state)
        traces_of(remembered, steps, FoldState())
        assert remembered.bytes_taken == 0

    def test_bounded_queries(self):
        """However scattered the steps with wanted traces are, there is a bound on queries."""
        steps = Steps(80)
        wanted = [2 * sequence for sequence in range(1, 81, 2)]
        assert steps.found(HalfEdgeCache(), *wanted) >= set(wanted)
        assert len(steps.ranges) == 16


traces = st.lists(
    st.sampled_from([1, 2, 3, 1 + SAME_SHORT_ID, 2 + SAME_SHORT_ID]), min_size=1, max_size=3
)
filters = st.sampled_from(("there", "gone", "none", "not named"))


@given(
    st.lists(st.tuples(traces, filters), max_size=40),
    st.lists(st.sets(st.sampled_from([1, 2, 3, 4, 1 + SAME_SHORT_ID])), min_size=1, max_size=3),
    st.sampled_from((0, 1_000, 10**6)),
)
@settings(max_examples=150, deadline=None)
def test_as_if_all_were_read(steps, asked, room):
    """What is known of the wanted traces is the same as if everything were read, whatever filters there are."""
    store, state = MemoryStore(), FoldState()
    for sequence, (of_step, has) in enumerate(steps, 1):
        keep(store, sequence, *of_step)
        if has in ("there", "not named"):
            keep_filter(store, sequence, *of_step)
        state.pending.add(
            sequence=sequence, folded_unix_seconds=100, has_filter=has in ("there", "gone")
        )
    remembered = HalfEdgeCache(room)
    for wanted in asked:
        ids = set(map(trace_id, wanted))
        keys = {(each, span_id(1)) for each in ids}
        expected = known_among(HalfEdgeCache().waiting(store, SHARD, state), keys)
        found = known_among(remembered.waiting(store, SHARD, state, ids), keys)
        assert found.callers == expected.callers


@given(st.sets(st.integers(0, 60)), st.integers(1, 5))
def test_ranges_cover_all_places_within_their_bound(places, count_max):
    """Ranges cover all places in order, are no more than the bound, and cover nothing else if they may be so many."""
    found = ranges(sorted(places), count_max)
    covered = [place for first, last in found for place in range(first, last + 1)]
    assert covered == sorted(set(covered))
    assert places <= set(covered)
    assert len(found) <= count_max
    neighbours = sum(place - 1 not in places for place in places)
    assert (set(covered) == places) is (neighbours <= count_max)
