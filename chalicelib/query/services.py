"""Which services there are, and in which hours they did anything: the day's catalogues, and what is not folded yet."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from chalicelib import config
from chalicelib.model.names import OTHER_SERVICES
from chalicelib.model.units import SECOND_NANO
from chalicelib.query.snapshot import HOUR_SECONDS, Seconds, catalogues, shards, widened
from chalicelib.store.layout import HOURS_PER_DAY, MINUTES_PER_HOUR
from chalicelib.store.metered import budget_of
from chalicelib.store.shard import ShardView, read_at_least_once
from chalicelib.store.targets import EDGES_NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator

    from chalicelib.query.parameters import Range
    from chalicelib.store.items import ItemStore

HoursOfServices = dict[str, set[int]]
"""Service → hours since the epoch in which spans of it started."""


def services_warnings(services: Container[str]) -> list[str]:
    """What a list of services leaves out."""
    if OTHER_SERVICES not in services:
        return []
    return [
        f"on a day there were more than {config.SERVICES_MAX} services of a shard: those above, or part of "
        f"them, are counted as {OTHER_SERVICES}; a search finds them by name"
    ]


def services_between(store: ItemStore, asked: Range, now_unix_seconds: int) -> set[str]:
    """Every service with a span that started in a range, in whole hours."""
    seconds = _whole_hours(asked)

    def read(views: dict[int, ShardView]) -> set[str]:
        return {service for service, _, _ in _lines(store, views, seconds, now_unix_seconds)}

    return read_at_least_once(store, shards(), read)


def hours_of_services(
    store: ItemStore,
    asked: Range,
    now_unix_seconds: int,
    is_wanted: Callable[[str], bool] = lambda _: True,
) -> HoursOfServices:
    """The services with spans that started in a range, in whole hours; of those that are wanted."""
    seconds = _whole_hours(asked)
    budget = budget_of(store)
    held = 0

    def read(views: dict[int, ShardView]) -> HoursOfServices:
        nonlocal held
        budget.hold_figures(-held)
        held = 0
        found: HoursOfServices = {}
        for service, day, hours in _lines(store, views, seconds, now_unix_seconds):
            if is_wanted(service):
                numbers = [day * HOURS_PER_DAY + hour for hour in _hours_in(hours)]
                found.setdefault(service, set()).update(numbers)
                held += len(numbers)
                budget.hold_figures(len(numbers))
        return found

    return read_at_least_once(store, shards(), read)


def _whole_hours(asked: Range) -> Seconds:
    return widened(asked.start // SECOND_NANO, -(-asked.end // SECOND_NANO), HOUR_SECONDS)


def _lines(
    store: ItemStore, views: dict[int, ShardView], seconds: Seconds, now_unix_seconds: int
) -> Iterator[tuple[str, int, int]]:
    """(Service, day, its hours there within the range as bits) of those with any."""
    for shard, view in views.items():
        stored = _catalogued(store, shard, seconds, now_unix_seconds)
        for service, day, hours in chain(_unfolded(view), stored):
            if within := hours & _bits_of(day, seconds):
                yield service, day, within


def _bits_of(day: int, seconds: Seconds) -> int:
    """The hours of a day that are within a range, as bits."""
    first = max(0, seconds.start // HOUR_SECONDS - day * HOURS_PER_DAY)
    end = min(HOURS_PER_DAY, seconds.end // HOUR_SECONDS - day * HOURS_PER_DAY)
    return (1 << end) - (1 << first) if first < end else 0


def _hours_in(bits: int) -> list[int]:
    return [hour for hour in range(HOURS_PER_DAY) if bits >> hour & 1]


def _unfolded(view: ShardView) -> set[tuple[str, int, int]]:
    return {
        (entry.service, *_day_and_bit(entry.minute // MINUTES_PER_HOUR))
        for entry in view.entries
        if entry.HasField("statistics")
    }


def _day_and_bit(hour: int) -> tuple[int, int]:
    day, of_day = divmod(hour, HOURS_PER_DAY)
    return day, 1 << of_day


def _catalogued(
    store: ItemStore, shard: int, seconds: Seconds, now_unix_seconds: int
) -> Iterator[tuple[str, int, int]]:
    for day, catalogue in catalogues(store, shard, seconds, now_unix_seconds):
        for service, line in catalogue.items():
            if service != EDGES_NAME:
                yield service, day, line.hours
