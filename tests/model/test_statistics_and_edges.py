"""Statistics and edges: sums that come to the same whatever the order, also above their caps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.errors import StoreError
from chalicelib.model import edges as edges_module
from chalicelib.model import statistics as statistics_module
from chalicelib.model.clew_pb2 import Edges as EdgesMessage
from chalicelib.model.clew_pb2 import Statistics as StatisticsMessage
from chalicelib.model.edges import (
    EdgeKind,
    Edges,
    edges_from,
    edges_message,
    merged_edges,
    smaller_exemplar,
    smallest_exemplar,
)
from chalicelib.model.measure import Measure, bucket_of, merged
from chalicelib.model.names import key_name
from chalicelib.model.statistics import (
    MINUTE_NANO,
    Statistics,
    merged_statistics,
    statistics_from,
    statistics_message,
    statistics_of,
)
from tests.model.spans import batches, made_spans
from tests.payloads import CLIENT, INTERNAL, MILLI, NOON_NANO, SERVER, Made, trace_id

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterable

CAP = 3


@pytest.fixture(scope="module", autouse=True)
def small_caps():
    """Of three names and three edges, so that any test is above them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(statistics_module, "NAMES_MAX", CAP)
        patch.setattr(edges_module, "EDGES_MAX", CAP)
        yield


small_measures = st.builds(
    Measure, st.integers(-2, 5), st.integers(0, 5), st.integers(0, 99), st.just({3: 1})
)
names = st.sampled_from([f"name {i}" for i in range(7)])


@st.composite
def made_statistics(draw):
    statistics = Statistics()
    raw = Statistics()
    raw.series = draw(
        st.dictionaries(st.tuples(names, st.integers(0, 5)), small_measures, max_size=6)
    )
    raw.entry, raw.other = draw(small_measures), draw(small_measures)
    raw.renamed_calls = draw(st.integers(0, 9))
    statistics.add(raw)
    return statistics


@st.composite
def made_edges(draw):
    edges = Edges()
    raw = Edges()
    for key in draw(
        st.lists(st.tuples(names, names, st.sampled_from(EdgeKind).map(int)), max_size=6)
    ):
        exemplar = draw(st.sampled_from([b"", *map(trace_id, range(1, 5))]))
        raw.offer(key, draw(small_measures), exemplar)
    raw.other = draw(small_measures)
    edges.add(raw)
    return edges


def total_of(parts: Iterable[object], empty: Callable[[], object]) -> object:
    total = empty()
    for part in parts:
        total.add(part)  # type: ignore[attr-defined]
    return total


@pytest.mark.parametrize(("parts", "empty"), [(made_statistics, Statistics), (made_edges, Edges)])
class TestAlgebra:
    @given(data=st.data(), rng=st.randoms(use_true_random=False))
    def test_any_order_and_grouping(self, parts, empty, data, rng: random.Random):
        """Merged in any order and grouping the value is the same, and the names above the cap are the same."""
        drawn = data.draw(st.lists(parts(), min_size=1, max_size=6))
        expected = total_of(drawn, empty)
        shuffled = rng.sample(drawn, len(drawn))
        cut = rng.randrange(len(drawn) + 1)
        halves = [total_of(shuffled[:cut], empty), total_of(shuffled[cut:], empty)]
        assert total_of(halves, empty) == expected

    @given(data=st.data())
    def test_identity_and_copies(self, parts, empty, data):
        """An empty one changes nothing, and a copy is equal and apart."""
        one = data.draw(parts())
        copied = one.copy()
        assert total_of([one, empty()], empty) == copied == one
        copied.add(data.draw(parts()))
        copied.other.add(Measure(calls=1))
        assert one == total_of([one], empty)


class TestStored:
    @given(made_statistics())
    def test_stored_statistics_read_back_equal(self, statistics):
        """Statistics are stored and read back equal."""
        stored = statistics_message(statistics).SerializeToString(deterministic=True)
        assert statistics_from(StatisticsMessage.FromString(stored)) == statistics

    @given(made_edges())
    def test_stored_edges_read_back_equal(self, edges):
        """Edges are stored and read back equal, those without calls and their exemplars too."""
        stored = edges_message(edges).SerializeToString(deterministic=True)
        assert edges_from(EdgesMessage.FromString(stored)) == edges

    @given(st.lists(made_edges(), max_size=6))
    def test_merging_stored_edges_is_adding_them(self, parts):
        """Stored edges are merged to what adding them comes to, above the cap too."""
        merged = merged_edges([edges_message(part) for part in parts])
        assert edges_from(merged) == total_of(parts, Edges)


def stored(message: Any) -> bytes:
    content: bytes = message.SerializeToString(deterministic=True)
    return content


class TestMergedMessages:
    @pytest.mark.parametrize(
        ("parts", "empty", "message", "merged_messages"),
        [
            (made_statistics, Statistics, statistics_message, merged_statistics),
            (made_edges, Edges, edges_message, merged_edges),
        ],
    )
    @given(data=st.data())
    def test_same_bytes(self, parts, empty, message, merged_messages, data):
        """Stored ones merge to the same bytes as what they are decoded to."""
        drawn = data.draw(st.lists(parts(), min_size=1, max_size=4))
        found = merged_messages([message(part) for part in drawn])
        assert stored(found) == stored(message(total_of(drawn, empty)))

    def test_buckets_without_counts_are_refused(self):
        """Buckets without their counts are refused."""
        message = statistics_message(Statistics())
        message.other.bucket_gaps.append(1)
        with pytest.raises(StoreError, match="no statistics"):
            merged_statistics([message, message])


class TestCap:
    def test_names_above_the_cap_are_counted_as_other(self):
        """Above the cap a service keeps so many names, and the others' spans are all counted as other."""
        made = [Made(1, i, name=f"name {i}", duration=5) for i in range(1, 11)]
        ((_, statistics),) = statistics_of(batches(made)).items()
        assert len(statistics.series) == CAP
        assert statistics.other == Measure(7, 0, 35, {bucket_of(5): 7})
        assert statistics.entry.calls == 10

    def test_edges_above_the_cap_are_counted_as_other(self):
        """Above the cap so many edges stay, and the others' calls are all counted as other."""
        edges, added = Edges(), Edges()
        for i in range(10):
            added.offer((f"{i}", "b", 1), Measure(calls=1), trace_id(1))
        edges.add(added)
        assert len(edges.edges) == CAP
        assert edges.other.calls == 7


class TestStatisticsOf:
    def test_a_minute_has_figures_of_each_name_and_kind(self):
        """A service's minute has each name and kind's calls, errors and durations, and those of its entry spans."""
        made = [
            Made(1, 1, name="a", kind=SERVER, duration=MILLI),
            Made(1, 2, name="a", kind=SERVER, duration=2 * MILLI, is_error=True, parent=1),
            Made(1, 3, name="b", kind=CLIENT, duration=MILLI, parent=2),
            Made(1, 4, name="c", kind=INTERNAL, duration=0),
        ]
        found = statistics_of(batches(made))
        ((key, statistics),) = found.items()
        assert key == ("shop", NOON_NANO // MINUTE_NANO)
        assert {name: m.calls for (name, _), m in statistics.series.items()} == {
            "a": 2,
            "b": 1,
            "c": 1,
        }
        assert statistics.series["a", SERVER].errors == 1
        assert statistics.series["a", SERVER].duration_sum_nano == 3 * MILLI
        # The two SERVER spans, and the one without a parent.
        assert (statistics.entry.calls, statistics.entry.errors) == (3, 1)

    def test_a_span_counts_in_the_minute_of_its_start(self):
        """A span counts in the minute in which it starts, to the nanosecond, and not where it ends."""
        starts = [NOON_NANO - 1, NOON_NANO, NOON_NANO + MINUTE_NANO - 1]
        found = statistics_of(
            batches([Made(1, i, start=s, duration=10**12) for i, s in enumerate(starts, 1)])
        )
        noon = NOON_NANO // MINUTE_NANO
        assert {minute: s.entry.calls for (_, minute), s in found.items()} == {noon - 1: 1, noon: 2}

    @given(st.lists(made_spans, max_size=12), st.integers(0, 12))
    def test_statistics_of_spans_are_the_sum_of_their_parts(self, made, cut):
        """What spans add is the sum of what any two parts of them add."""
        whole, sums = statistics_of(batches(made)), statistics_of(batches(made[:cut]))
        for key, statistics in statistics_of(batches(made[cut:])).items():
            sums.setdefault(key, Statistics()).add(statistics)
        assert sums == whole

    def test_long_names(self):
        """Long names of services and spans are bounded."""
        ((key, statistics),) = statistics_of(
            batches([Made(1, 1, service="s" * 999, name="n" * 999)])
        ).items()
        assert key[0] == key_name("s" * 999)
        assert list(statistics.series) == [(key_name("n" * 999), SERVER)]

    def test_ids_in_names(self):
        """Names that differ by their ids alone are one series, and it is known how many calls were so renamed."""
        made = [Made(1, i, name=f"GET /users/{i}", duration=5) for i in range(1, 11)]
        made.append(Made(1, 11, name="GET /users/{id}", duration=5))
        ((_, statistics),) = statistics_of(batches(made)).items()
        assert {name: measure.calls for (name, _), measure in statistics.series.items()} == {
            "GET /users/{id}": 11
        }
        assert statistics.renamed_calls == 10
        assert not statistics.other

    @given(st.lists(st.sampled_from(range(40)), max_size=60), st.integers(0, 60))
    def test_folding_loses_nothing(self, numbers, cut):
        """Of names above the cap, with ids and without, in parts and in any order, every span counts exactly once."""
        made = [
            Made(1, i, name=f"{chr(97 + n % 13)} /{n // 13}", duration=n)
            for i, n in enumerate(numbers, 1)
        ]
        sums = Statistics()
        for part in (made[cut:], made[:cut]):
            for statistics in statistics_of(batches(part)).values():
                sums.add(statistics)
        counted = merged([*sums.series.values(), sums.other])
        assert counted == sums.entry
        assert counted.calls == sum(counted.buckets.values()) == len(made)
        assert sums.renamed_calls == len(made)
        assert len(sums.series) <= CAP

    def test_no_spans_add_no_statistics(self):
        """No spans add nothing."""
        assert statistics_of([]) == {}


class TestExemplars:
    @given(st.lists(st.binary(min_size=16, max_size=16), max_size=5), st.randoms())
    def test_the_same_exemplar_stays_in_any_order(self, offered, rng):
        """Of all exemplars offered the same one stays in any order; none is kept only if none was offered."""

        def kept(ids: list[bytes]) -> bytes:
            found = b""
            for each in ids:
                found = smaller_exemplar(found, each)
            return found

        assert kept(offered) == kept(rng.sample(offered, len(offered)))
        assert bool(kept(offered)) == bool(offered)
        assert not offered or smallest_exemplar(offered) == kept(offered)

    def test_padded_ids(self):
        """The smallest is that of the reversed bytes, so that ids padded on the left are not preferred."""
        padded, full = bytes(8) + b"\x01" * 8, b"\xff" * 15 + b"\x00"
        assert smaller_exemplar(padded, full) == full
