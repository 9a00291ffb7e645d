"""Measures: an algebra, and a histogram whose error is what it says."""

from __future__ import annotations

from math import ceil, isclose

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.model.clew_pb2 import Measure as MeasureMessage
from chalicelib.model.measure import (
    BUCKETS_PER_DOUBLING,
    ZERO_BUCKET,
    Measure,
    bucket_middle_nano,
    bucket_of,
    measure_from,
    measure_message,
    measure_of,
    merged,
    quantile_nano,
    quantiles_nano,
)

U64_MAX = 2**64 - 1
ERROR_MAX = 0.011

durations = st.integers(0, U64_MAX) | st.integers(0, 10**9) | st.integers(0, 63).map(lambda b: 2**b)
measures = st.builds(
    Measure,
    calls=st.integers(-100, 10**9),
    errors=st.integers(-100, 10**9),
    duration_sum_nano=st.integers(0, U64_MAX),
    buckets=st.dictionaries(
        st.integers(-2, 2_047), st.integers(-9, 10**6).filter(bool), max_size=6
    ),
)


def of_durations(values: list[int]) -> Measure:
    return merged(Measure(1, 0, value, {bucket_of(value): 1}) for value in values)


class TestBuckets:
    @pytest.mark.parametrize("power", range(65))
    def test_powers_of_two(self, power):
        """An exact power of two is the upper end of its bucket, and the next duration is in the next."""
        assert bucket_of(2**power) == power * BUCKETS_PER_DOUBLING - 1
        if power < 44:
            assert bucket_of(2**power + 1) >= power * BUCKETS_PER_DOUBLING

    @pytest.mark.parametrize(
        ("duration", "bucket"),
        [(0, ZERO_BUCKET), (1, -1), (2, 31), (3, 50), (U64_MAX, 2_047)],
    )
    def test_zero_and_the_longest_duration_have_buckets(self, duration, bucket):
        """Zero has a bucket of its own, and the longest duration of 64 bits is in the last."""
        assert bucket_of(duration) == bucket

    @given(durations.filter(bool))
    def test_a_duration_lies_within_the_bounds_of_its_bucket(self, duration):
        """A duration lies in its bucket: over 2^(i/32), and at most 2^((i+1)/32), to a float's precision."""
        bucket = bucket_of(duration)
        lower, upper = 2 ** (bucket / 32), 2 ** ((bucket + 1) / 32)
        assert lower < duration or isclose(lower, duration, rel_tol=1e-12)
        assert duration <= upper or isclose(upper, duration, rel_tol=1e-12)

    @given(durations, durations)
    def test_longer_durations_are_never_in_a_lower_bucket(self, one, other):
        """Longer durations are never in a lower bucket."""
        if one <= other:
            assert bucket_of(one) <= bucket_of(other)

    @pytest.mark.parametrize("duration", [0, 1, 2, 3, 10, 46, 1_000, 10**9, U64_MAX])
    def test_a_bucket_middle_is_within_the_relative_error(self, duration):
        """The middle of a duration's bucket is at most 1.1 % from it."""
        assert abs(bucket_middle_nano(bucket_of(duration)) - duration) <= ERROR_MAX * duration


class TestAlgebra:
    @given(measures, measures, measures)
    def test_merging_is_associative_and_commutative(self, one, two, three):
        """Merging is associative and commutative, and an empty measure changes nothing."""
        assert merged([merged([one, two]), three]) == merged([one, merged([two, three])])
        assert merged([one, two]) == merged([two, one])
        assert merged([one, Measure()]) == merged([one]) == one

    @given(measures, measures)
    def test_merging_leaves_the_other_alone(self, one, other):
        """What is merged in is not changed, now or by later merges."""
        before = other.copy()
        total = Measure()
        total.add(other)
        total.add(one)
        assert other == before

    @given(st.lists(durations), st.booleans())
    def test_counted_together(self, values, is_error):
        """Calls that are counted together make what they make one by one."""
        one_by_one = merged(
            Measure(1, int(is_error), value, {bucket_of(value): 1}) for value in values
        )
        assert measure_of(values, is_error=is_error) == one_by_one

    @given(measures)
    def test_taken_away(self, measure):
        """What was counted and is taken away leaves nothing, no bucket of 0 either."""
        total = measure.copy()
        for bucket, count in measure.buckets.items():
            total.count(bucket, is_error=False, times=-count)
        assert total.buckets == {}

    def test_sum_saturates(self):
        """A sum of durations stops at 2^64 - 1, in any grouping."""
        parts = [Measure(1, 0, U64_MAX), Measure(1, 0, 5), Measure(1, 0, U64_MAX)]
        assert merged(parts).duration_sum_nano == U64_MAX
        assert merged(parts[::-1]).duration_sum_nano == U64_MAX

    @given(measures)
    def test_a_stored_measure_reads_back_equal(self, measure):
        """A measure is stored and read back equal, and equal measures are equal bytes."""
        message = measure_message(measure)
        assert measure_from(message) == measure
        stored = message.SerializeToString(deterministic=True)
        assert measure_from(MeasureMessage.FromString(stored)) == measure
        shuffled = Measure(*measure_figures(measure), dict(reversed(measure.buckets.items())))
        assert measure_message(shuffled).SerializeToString(deterministic=True) == stored

    def test_a_measure_is_true_if_it_counts_anything(self):
        """A measure is true if it counts anything."""
        assert not Measure()
        assert Measure(calls=1)


def measure_figures(measure: Measure) -> tuple[int, int, int]:
    return measure.calls, measure.errors, measure.duration_sum_nano


class TestQuantiles:
    @given(st.lists(durations, min_size=1, max_size=50), st.floats(0, 1))
    def test_a_quantile_is_within_the_relative_error(self, values, quantile):
        """A quantile is at most 1.1 %, and half a nanosecond for rounding, from that of the durations themselves."""
        exact = sorted(values)[max(1, ceil(quantile * len(values))) - 1]
        found = quantile_nano(of_durations(values), quantile)
        assert abs(found - exact) <= ERROR_MAX * exact + 0.5

    def test_every_short_duration(self):
        """The bound holds for each duration below ten microseconds, but for rounding to nanoseconds."""
        for duration in range(10_000):
            middle = bucket_middle_nano(bucket_of(duration))
            assert abs(middle - duration) <= ERROR_MAX * duration + 0.5

    def test_of_nothing(self):
        """Without calls a quantile is 0."""
        assert quantile_nano(Measure(), 0.5) == 0

    @given(st.dictionaries(st.integers(-2, 9), st.integers(-2, 4)), st.lists(st.floats(0, 1)))
    def test_several_quantiles_are_each_what_the_buckets_say(self, buckets, quantiles):
        """Several are each what going through the buckets finds, also where some counts are taken away."""

        def expected(quantile):
            seen = 0
            for bucket, count in sorted(buckets.items()):
                seen += count
                if seen >= max(1, ceil(quantile * sum(buckets.values()))):
                    return bucket_middle_nano(bucket)
            return 0

        assert quantiles_nano(Measure(buckets=buckets), quantiles) == list(map(expected, quantiles))

    def test_quantiles_zero_and_one_are_the_extremes(self):
        """Quantile 0 is the shortest call, quantile 1 the longest."""
        measure = of_durations([0, 1, 2**20])
        assert [quantile_nano(measure, q) for q in (0, 0.5, 1)] == [
            0,
            1,
            bucket_middle_nano(bucket_of(2**20)),
        ]

    @given(st.lists(durations, min_size=1, max_size=20), st.floats(0, 1), st.floats(0, 1))
    def test_a_higher_quantile_is_never_shorter(self, values, one, other):
        """A higher quantile is never shorter."""
        measure = of_durations(values)
        low, high = sorted((one, other))
        assert quantile_nano(measure, low) <= quantile_nano(measure, high)
