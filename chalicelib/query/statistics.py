"""Calls, errors and durations of a service over time."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from chalicelib.errors import InvalidQuery
from chalicelib.model.names import key_name
from chalicelib.model.statistics import Statistics, statistics_from
from chalicelib.query.parameters import SECOND_NANO
from chalicelib.query.snapshot import (
    DAY_SECONDS,
    MINUTE_SECONDS,
    Seconds,
    held,
    level_for,
    pending_of,
    rounded_up,
    shards,
    widened,
)
from chalicelib.store.layout import Level, statistics_partition
from chalicelib.store.shard import ShardView, read_consistently
from chalicelib.store.targets import statistics_target

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.model.measure import Measure
    from chalicelib.model.statistics import SeriesKey
    from chalicelib.query.parameters import Range
    from chalicelib.store.items import ItemStore

POINTS_MAX = 1_500
"""A day in minutes."""
_POINTS_WANTED = 120
_STEPS_SECONDS = (60, 300, 900, 3_600, 6 * 3_600, 86_400, 7 * 86_400)


class ServiceStatistics(NamedTuple):
    service: str
    seconds: Seconds
    """What is really answered: the range asked for, in whole steps."""
    step_seconds: int
    steps: dict[int, Statistics]
    """Start second → what began in the step; only steps with any."""
    total: Statistics
    is_exact: bool


def statistics(
    store: ItemStore, service: str, asked: Range, step_nano: int | None, now_unix_seconds: int
) -> ServiceStatistics:
    """What a service's spans that started in a range add up to, step by step.

    The step grows to what is kept: minutes for 8 days, hours for 92. Raises InvalidQuery for too many points.
    """
    start = asked.start // SECOND_NANO
    step = _step_seconds(asked, step_nano)
    level = level_for(step, start, now_unix_seconds)
    step = rounded_up(step, level)
    seconds = widened(start, -(-asked.end // SECOND_NANO), step)
    if (seconds.end - seconds.start) // step > POINTS_MAX:
        raise InvalidQuery(
            f"step must be larger: the range has more than {POINTS_MAX} of it", "step"
        )
    parts, is_exact = _parts(store, service, level, seconds, now_unix_seconds)
    steps: dict[int, Statistics] = {}
    total = Statistics()
    for second, part in parts:
        steps.setdefault(second // step * step, Statistics()).add(part)
        total.add(part)
    return ServiceStatistics(service, seconds, step, dict(sorted(steps.items())), total, is_exact)


def _step_seconds(asked: Range, step_nano: int | None) -> int:
    if step_nano is not None:
        if not step_nano:
            raise InvalidQuery("step must be more than nothing", "step")
        return max(1, -(-step_nano // (MINUTE_SECONDS * SECOND_NANO))) * MINUTE_SECONDS
    width = (asked.end - asked.start) // SECOND_NANO
    return next(
        (step for step in _STEPS_SECONDS if width // step <= _POINTS_WANTED), _coarse(width)
    )


def _coarse(width_seconds: int) -> int:
    return max(1, width_seconds // DAY_SECONDS // _POINTS_WANTED) * DAY_SECONDS


def _parts(
    store: ItemStore, service: str, level: Level, seconds: Seconds, now_unix_seconds: int
) -> tuple[list[tuple[int, Statistics]], bool]:
    name, partition = key_name(service), statistics_partition(service)

    def read(views: dict[int, ShardView]) -> list[tuple[int, Statistics]]:
        needs_pending = level is not Level.MINUTE
        pending = pending_of(store, views if needs_pending else [], name, seconds, now_unix_seconds)
        stored = held(
            store, partition, level, seconds, pending, now_unix_seconds, statistics_target
        )
        return [*_unfolded(views, name, seconds), *stored]

    return read_consistently(store, shards(), read)


def _unfolded(
    views: dict[int, ShardView], service: str, seconds: Seconds
) -> Iterator[tuple[int, Statistics]]:
    for view in views.values():
        for entry in view.entries:
            if entry.HasField("statistics") and entry.service == service:
                second = entry.minute * MINUTE_SECONDS
                if seconds.start <= second < seconds.end:
                    yield second, statistics_from(entry.statistics)


def span_names(
    store: ItemStore, service: str, asked: Range, now_unix_seconds: int
) -> list[SeriesKey]:
    """(Span name, kind) of a service's spans in a range, in whole days; sorted."""
    start, end = asked.start // SECOND_NANO, -(-asked.end // SECOND_NANO)
    seconds = widened(start, end, DAY_SECONDS)
    parts, _ = _parts(store, service, Level.DAY, seconds, now_unix_seconds)
    return sorted({key for _, part in parts for key in part.series})


def series_of(steps: dict[int, Statistics], key: SeriesKey) -> Iterator[tuple[int, Measure]]:
    """(Start second, measure) of one series, where it has any."""
    for second, part in steps.items():
        if measure := part.series.get(key):
            yield second, measure
