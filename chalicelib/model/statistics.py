"""Statistics of a service: what each span adds is a function of that span alone.

batches ──statistics_of──▶ (service, minute) → Statistics ──merge──▶ …     Statistics ⇄ StatisticsMessage
"""

from __future__ import annotations

from collections import defaultdict
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, TypeVar

from chalicelib.model.clew_pb2 import Statistics as StatisticsMessage
from chalicelib.model.frame import reading
from chalicelib.model.measure import (
    Measure,
    measure_from,
    measure_message,
    measure_of,
    merged_message,
)
from chalicelib.model.names import key_name, statistics_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from chalicelib.model.batch import SpanBatch

MINUTE_NANO = 60_000_000_000
NAMES_MAX = 1_000
"""Series of a service and minute, hour or day; the rest is counted together, as `other`."""

SeriesKey = tuple[str, int]
"""Span name, OTLP kind."""
_Alike = tuple[str, int, bool, bool]
"""Span name, OTLP kind, whether it failed, whether it entered its service."""
Key = TypeVar("Key", bound=tuple[Any, ...])


class Statistics:
    """Series by span name and kind, the service's entry spans, and what is above the cap on names."""

    __slots__ = ("entry", "other", "renamed_calls", "series")

    def __init__(self) -> None:
        self.series: dict[SeriesKey, Measure] = {}
        self.entry = Measure()
        self.other = Measure()
        self.renamed_calls = 0
        """The number of counted spans whose name had an id in it, and which are counted under the name without it."""

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Statistics)
            and self.series == other.series
            and self.entry == other.entry
            and self.other == other.other
            and self.renamed_calls == other.renamed_calls
        )

    __hash__ = None  # type: ignore[assignment]  # mutable

    def add(self, added: Statistics) -> None:
        """Merge another in. Any order and grouping of merges gives the same value."""
        for key, measure in added.series.items():
            self._measure(key).add(measure)
        self.entry.add(added.entry)
        self.other.add(added.other)
        self.renamed_calls += added.renamed_calls
        self._cap()

    def _measure(self, key: SeriesKey) -> Measure:
        found = self.series.get(key)
        if found is None:
            found = self.series[key] = Measure()
        return found

    def _cap(self) -> None:
        for key in above_cap(self.series, NAMES_MAX):
            self.other.add(self.series.pop(key))

    def copy(self) -> Statistics:
        copied = Statistics()
        copied.add(self)
        return copied


def above_cap(keys: Iterable[Key], count_max: int) -> list[Key]:
    """The keys beyond the `count_max` with the smallest hashes.

    Smallest hashes rather than first come: whatever was left out of a part is left out of the whole too, so that
    merges in any order end with the same names.
    """
    ordered = list(keys)
    if len(ordered) <= count_max:
        return []
    ordered.sort(key=_name_hash)
    return ordered[count_max:]


# The same names come every minute.
@lru_cache(10_000)
def _name_hash(key: tuple[object, ...]) -> bytes:
    return blake2b(repr(key).encode(), digest_size=16).digest()


def statistics_of(batches: Iterable[SpanBatch]) -> dict[tuple[str, int], Statistics]:
    """(Service, minute of span start since the epoch) → what these spans add."""
    # Alike spans are counted together: most of a group are alike.
    durations: dict[tuple[str, int], dict[_Alike, list[int]]] = {}
    for batch in batches:
        service = batch.scope.service_key
        starts = batch.start_times_unix_nano
        alike = zip(batch.names, batch.kinds, batch.errors, batch.entries, strict=True)
        minute = min(starts) // MINUTE_NANO
        if max(starts) // MINUTE_NANO == minute:
            of_minute = durations.setdefault((service, minute), defaultdict(list))
            for of_span, duration in zip(alike, batch.durations_nano, strict=True):
                of_minute[of_span].append(duration)
        else:
            for of_span, start, duration in zip(alike, starts, batch.durations_nano, strict=True):
                key = service, start // MINUTE_NANO
                durations.setdefault(key, defaultdict(list))[of_span].append(duration)
    return {key: _statistics(of_minute) for key, of_minute in durations.items()}


def _statistics(durations: dict[_Alike, list[int]]) -> Statistics:
    statistics = Statistics()
    for (name, kind, is_error, is_entry), of_alike in durations.items():
        measure = measure_of(of_alike, is_error=is_error)
        counted_as = statistics_name(name)
        statistics._measure((counted_as, kind)).add(measure)
        if counted_as != key_name(name):
            statistics.renamed_calls += measure.calls
        if is_entry:
            statistics.entry.add(measure)
    statistics._cap()
    return statistics


def statistics_message(statistics: Statistics) -> StatisticsMessage:
    """The stored form of statistics: series sorted by span name and kind."""
    return StatisticsMessage(
        series=[
            StatisticsMessage.Series(span_name=name, kind=kind, measure=measure_message(measure))
            for (name, kind), measure in sorted(statistics.series.items(), key=lambda item: item[0])
        ],
        entry=measure_message(statistics.entry),
        other=measure_message(statistics.other),
        renamed_calls=statistics.renamed_calls,
    )


@reading("statistics")
def statistics_from(message: StatisticsMessage) -> Statistics:
    """The inverse of `statistics_message`. Raises StoreError for damaged ones."""
    statistics = Statistics()
    statistics.series = {
        (series.span_name, series.kind): measure_from(series.measure) for series in message.series
    }
    statistics.entry = measure_from(message.entry)
    statistics.other = measure_from(message.other)
    statistics.renamed_calls = message.renamed_calls
    return statistics


@reading("statistics")
def merged_statistics(parts: Sequence[StatisticsMessage]) -> StatisticsMessage:
    """What decoding, adding and encoding these comes to; a series that one part alone has is copied as it is.

    Raises StoreError for damaged ones.
    """
    series: dict[SeriesKey, list[StatisticsMessage.Series]] = defaultdict(list)
    for part in parts:
        for each in part.series:
            series[each.span_name, each.kind].append(each)
    other = [part.other for part in parts]
    for key in above_cap(series, NAMES_MAX):
        other += [each.measure for each in series.pop(key)]
    return StatisticsMessage(
        series=[_merged_series(series[key]) for key in sorted(series)],
        entry=merged_message([part.entry for part in parts]),
        other=merged_message(other),
        renamed_calls=sum([part.renamed_calls for part in parts]),
    )


def _merged_series(parts: Sequence[StatisticsMessage.Series]) -> StatisticsMessage.Series:
    if len(parts) == 1:
        return parts[0]
    first = parts[0]
    measure = merged_message([part.measure for part in parts])
    return StatisticsMessage.Series(span_name=first.span_name, kind=first.kind, measure=measure)
