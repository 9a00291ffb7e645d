"""Calls, errors and durations of a service over time."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from chalicelib import config
from chalicelib.errors import InvalidQuery
from chalicelib.model.names import OTHER_SERVICES, key_name
from chalicelib.model.statistics import Statistics, statistics_from
from chalicelib.model.units import SECOND_NANO
from chalicelib.query.snapshot import (
    DAY_SECONDS,
    MINUTE_SECONDS,
    Part,
    Seconds,
    catalogues,
    held,
    level_for,
    pending_of,
    rounded_up,
    shards,
    widened,
)
from chalicelib.store.layout import Level, shard_of_service, statistics_partition
from chalicelib.store.metered import budget_of
from chalicelib.store.shard import ShardView, read_consistently
from chalicelib.store.targets import above_services_cap, names_in, statistics_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.budget import Budget
    from chalicelib.model.clew_pb2 import Statistics as StatisticsMessage
    from chalicelib.model.measure import Measure
    from chalicelib.model.statistics import SeriesKey
    from chalicelib.query.parameters import Range
    from chalicelib.query.snapshot import PartOf
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
    is_capped: bool = False
    """Whether part of the service may be counted as OTHER_SERVICES."""


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
    name = key_name(service)

    sums = _Sums(step, budget_of(store))

    def read(views: dict[int, ShardView]) -> bool:
        sums.begin()
        for second, message in _unfolded(views, name, seconds):
            sums.add(second, statistics_from(message))
        for part in _parts(store, views, name, level, seconds, now_unix_seconds, statistics_in):
            sums.add(*part)
        return _is_capped(store, views, name, seconds, now_unix_seconds)

    is_capped, is_exact = read_consistently(store, shards(), read)
    return ServiceStatistics(
        service, seconds, step, dict(sorted(sums.steps.items())), sums.total, is_exact, is_capped
    )


class _Sums:
    """What is read, summed step by step; what that holds is spent from the budget."""

    def __init__(self, step_seconds: int, budget: Budget) -> None:
        self._step_seconds = step_seconds
        self._budget = budget
        self._held_of_total = self._held_of_steps = 0
        self.begin()

    def begin(self) -> None:
        """Forget what was summed."""
        self._budget.hold_figures(-self._held_of_total - self._held_of_steps)
        self._held_of_total = self._held_of_steps = 0
        self._last: int | None = None
        self.steps: dict[int, Statistics] = {}
        self.total = Statistics()

    def add(self, second: int, part: Statistics) -> None:
        step = second // self._step_seconds * self._step_seconds
        # Parts come in order, but for the few that are not where they belong yet: most steps are counted once.
        if step != self._last:
            self._count()
            self._last = step
        self.steps.setdefault(step, Statistics()).add(part)
        self.total.add(part)

    def _count(self) -> None:
        if self._last is not None:
            of_step, of_total = _figures_in(self.steps[self._last]), _figures_in(self.total)
            self._budget.hold_figures(of_step + of_total - self._held_of_total)
            self._held_of_steps += of_step
            self._held_of_total = of_total


def _figures_in(statistics: Statistics) -> int:
    return sum([1 + len(measure.buckets) for measure in statistics.series.values()])


def _is_capped(
    store: ItemStore,
    views: dict[int, ShardView],
    name: str,
    seconds: Seconds,
    now_unix_seconds: int,
) -> bool:
    """Whether on a day of a range a service was above the cap of its shard."""
    shard = shard_of_service(name, config.SHARDS)
    return views[shard].state.has_other_services and any(
        OTHER_SERVICES in catalogue and bool(above_services_cap(catalogue, {name}))
        for _, catalogue in catalogues(store, shard, seconds, now_unix_seconds)
    )


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
    store: ItemStore,
    views: dict[int, ShardView],
    name: str,
    level: Level,
    seconds: Seconds,
    now_unix_seconds: int,
    part_of: PartOf[Part],
) -> Iterator[tuple[int, Part]]:
    """(Start second, part) of what is folded of a service."""
    needs_pending = level is not Level.MINUTE
    pending = pending_of(store, views if needs_pending else [], name, seconds, now_unix_seconds)
    partition = statistics_partition(name)
    return held(store, partition, level, seconds, pending, now_unix_seconds, part_of)


def _unfolded(
    views: dict[int, ShardView], name: str, seconds: Seconds
) -> Iterator[tuple[int, StatisticsMessage]]:
    for view in views.values():
        for entry in view.entries:
            if entry.HasField("statistics") and entry.service == name:
                second = entry.minute * MINUTE_SECONDS
                if seconds.start <= second < seconds.end:
                    yield second, entry.statistics


def span_names(
    store: ItemStore, service: str, asked: Range, now_unix_seconds: int
) -> list[SeriesKey]:
    """(Span name, kind) of a service's spans in a range, in whole days; sorted."""
    start, end = asked.start // SECOND_NANO, -(-asked.end // SECOND_NANO)
    seconds = widened(start, end, DAY_SECONDS)
    name = key_name(service)

    def read(views: dict[int, ShardView]) -> set[SeriesKey]:
        found = {
            (series.span_name, series.kind)
            for _, message in _unfolded(views, name, seconds)
            for series in message.series
        }
        for _, names in _parts(store, views, name, Level.DAY, seconds, now_unix_seconds, names_in):
            found |= names
        return found

    return sorted(read_consistently(store, shards(), read)[0])


def series_of(steps: dict[int, Statistics], key: SeriesKey) -> Iterator[tuple[int, Measure]]:
    """(Start second, measure) of one series, where it has any."""
    for second, part in steps.items():
        if measure := part.series.get(key):
            yield second, measure
