"""Which services there are, and in which hours they did anything: the day's catalogues, and what is not folded yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib import config
from chalicelib.model.names import OTHER_SERVICES
from chalicelib.query.parameters import SECOND_NANO
from chalicelib.query.snapshot import HOUR_SECONDS, Seconds, catalogues, shards, widened
from chalicelib.store.layout import HOURS_PER_DAY, MINUTES_PER_HOUR
from chalicelib.store.shard import ShardView, read_at_least_once
from chalicelib.store.targets import EDGES_NAME

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

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


def hours_of_services(store: ItemStore, asked: Range, now_unix_seconds: int) -> HoursOfServices:
    """Every service with a span that started in a range, in whole hours."""
    seconds = widened(asked.start // SECOND_NANO, -(-asked.end // SECOND_NANO), HOUR_SECONDS)

    def read(views: dict[int, ShardView]) -> HoursOfServices:
        found: HoursOfServices = {}
        for shard, view in views.items():
            stored = _catalogued(store, shard, seconds, now_unix_seconds)
            for service, hour in [*_unfolded(view), *stored]:
                if seconds.start <= hour * HOUR_SECONDS < seconds.end:
                    found.setdefault(service, set()).add(hour)
        return found

    return read_at_least_once(store, shards(), read)


def _unfolded(view: ShardView) -> set[tuple[str, int]]:
    return {
        (entry.service, entry.minute // MINUTES_PER_HOUR)
        for entry in view.entries
        if entry.HasField("statistics")
    }


def _catalogued(
    store: ItemStore, shard: int, seconds: Seconds, now_unix_seconds: int
) -> Iterator[tuple[str, int]]:
    for day, catalogue in catalogues(store, shard, seconds, now_unix_seconds):
        for service, line in catalogue.items():
            if service != EDGES_NAME:
                for hour in range(HOURS_PER_DAY):
                    if line.hours >> hour & 1:
                        yield service, day * HOURS_PER_DAY + hour
