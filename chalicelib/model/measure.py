"""Measures: calls, errors and a duration histogram, which merge in any order and grouping to the same value.

The histogram is OpenTelemetry's exponential histogram at the fixed scale 5: bucket i holds the durations in
(2^(i/32), 2^((i+1)/32)] nanoseconds. A duration is known to within a factor of 2^(1/32), so a quantile's relative
error is at most 1.1 %. 64-bit durations use at most 2,050 buckets, a span name in a minute a dozen.
Source: opentelemetry.io/docs/specs/otel/metrics/data-model, ExponentialHistogram.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from itertools import accumulate
from math import ceil, log2
from operator import sub
from typing import TYPE_CHECKING

from chalicelib.model.clew_pb2 import Measure as MeasureMessage

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

SCALE = 5
BUCKETS_PER_DOUBLING = 1 << SCALE
ZERO_BUCKET = -2
"""Where durations of 0 are counted; a duration of 1 ns is in bucket -1."""
_SUM_MAX = 2**64 - 1


def bucket_of(duration_nano: int) -> int:
    """The histogram bucket of a duration (0 ≤ duration < 2^64)."""
    if duration_nano <= 0:
        return ZERO_BUCKET
    return ceil(log2(duration_nano) * BUCKETS_PER_DOUBLING) - 1


def buckets_of(durations_nano: Sequence[int]) -> list[int]:
    """The histogram buckets of durations."""
    if min(durations_nano, default=0) <= 0:
        return list(map(bucket_of, durations_nano))
    # As `bucket_of`, without calling it: this runs for every span.
    return [ceil(each * BUCKETS_PER_DOUBLING) - 1 for each in map(log2, durations_nano)]


def bucket_middle_nano(bucket: int) -> int:
    """The duration that stands for a bucket: its geometric middle, at most 1.1 % from any duration in it."""
    return 0 if bucket == ZERO_BUCKET else round(2 ** ((bucket + 0.5) / BUCKETS_PER_DOUBLING))


class Measure:
    """A mutable sum. Equal if every figure is; a bucket with count 0 is not kept."""

    __slots__ = ("buckets", "calls", "duration_sum_nano", "errors")

    def __init__(
        self,
        calls: int = 0,
        errors: int = 0,
        duration_sum_nano: int = 0,
        buckets: Mapping[int, int] | None = None,
    ) -> None:
        self.calls = calls
        self.errors = errors
        self.duration_sum_nano = duration_sum_nano
        """Saturates at 2^64 - 1, which keeps addition associative."""
        self.buckets: dict[int, int] = dict(buckets or {})

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Measure) and _figures(self) == _figures(other)

    def __hash__(self) -> int:
        return hash(_figures(self))

    def __repr__(self) -> str:
        return f"Measure{_figures(self)}"

    def __bool__(self) -> bool:
        return bool(self.calls or self.errors or self.buckets)

    def add(self, other: Measure) -> None:
        """Merge another in; it is not changed."""
        self.calls += other.calls
        self.errors += other.errors
        self.duration_sum_nano = min(_SUM_MAX, self.duration_sum_nano + other.duration_sum_nano)
        buckets = self.buckets
        for bucket, count in other.buckets.items():
            if new := buckets.get(bucket, 0) + count:
                buckets[bucket] = new
            else:
                buckets.pop(bucket, None)

    def count(self, bucket: int, *, is_error: bool, times: int = 1) -> None:
        """Add calls of one bucket; negative `times` takes them away. Durations are not summed."""
        self.calls += times
        if is_error:
            self.errors += times
        if new := self.buckets.get(bucket, 0) + times:
            self.buckets[bucket] = new
        else:
            self.buckets.pop(bucket, None)

    def copy(self) -> Measure:
        return Measure(self.calls, self.errors, self.duration_sum_nano, self.buckets)


def _figures(measure: Measure) -> tuple[object, ...]:
    buckets = tuple(sorted(measure.buckets.items()))
    return measure.calls, measure.errors, measure.duration_sum_nano, buckets


def measure_of(durations_nano: Sequence[int], *, is_error: bool) -> Measure:
    """The measure of calls that all failed, or none."""
    calls = len(durations_nano)
    total = min(_SUM_MAX, sum(durations_nano))
    buckets = Counter(buckets_of(durations_nano))
    return Measure(calls, calls if is_error else 0, total, buckets)


def merged(measures: Iterable[Measure]) -> Measure:
    """The sum of all."""
    total = Measure()
    for measure in measures:
        total.add(measure)
    return total


def measure_message(measure: Measure) -> MeasureMessage:
    """The stored form of a measure: buckets ascend."""
    indices = sorted(measure.buckets)
    return MeasureMessage(
        calls=measure.calls,
        errors=measure.errors,
        duration_sum_nano=measure.duration_sum_nano,
        bucket_gaps=list(map(sub, indices, [0, *indices])),
        bucket_counts=list(map(measure.buckets.__getitem__, indices)),
    )


def measure_from(message: MeasureMessage) -> Measure:
    """The inverse of `measure_message`."""
    # A copy of a field is made at once; gone through as it is, it makes each number by itself.
    buckets = zip(accumulate(message.bucket_gaps[:]), message.bucket_counts[:], strict=True)
    return Measure(message.calls, message.errors, message.duration_sum_nano, dict(buckets))


def merged_message(messages: Sequence[MeasureMessage]) -> MeasureMessage:
    """The sum of stored measures, as stored: what decoding, adding and encoding them comes to."""
    first, *others = [message for message in messages if message.ByteSize()] or [MeasureMessage()]
    if not others:
        return first
    total = measure_from(first)
    buckets, count_of = total.buckets, total.buckets.get
    for message in others:
        total.calls += message.calls
        total.errors += message.errors
        total.duration_sum_nano += message.duration_sum_nano
        gaps, counts = message.bucket_gaps[:], message.bucket_counts[:]
        for bucket, count in zip(accumulate(gaps), counts, strict=True):
            buckets[bucket] = count_of(bucket, 0) + count
    total.duration_sum_nano = min(_SUM_MAX, total.duration_sum_nano)
    if 0 in buckets.values():
        total.buckets = {bucket: count for bucket, count in buckets.items() if count}
    return measure_message(total)


def quantiles_nano(measure: Measure, quantiles: Sequence[float]) -> list[int]:
    """The durations that each of `quantiles` (0…1) of the calls do not exceed, to within 1.1 %; 0 without calls."""
    indices = sorted(measure.buckets)
    counts = list(map(measure.buckets.__getitem__, indices))
    # Of a part of the edges a count may be negative: what was reached stays so.
    reached = list(accumulate(accumulate(counts), max))
    total, last = sum(counts), len(indices)
    places = [bisect_left(reached, max(1, ceil(quantile * total))) for quantile in quantiles]
    return [bucket_middle_nano(indices[place]) if place < last else 0 for place in places]


def quantile_nano(measure: Measure, quantile: float) -> int:
    """One of `quantiles_nano`."""
    return quantiles_nano(measure, [quantile])[0]
