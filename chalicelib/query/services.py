"""Which services there are, and in which hours they did anything: the day's catalogues, and what is not folded yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib import config
from chalicelib.query.parameters import SECOND_NANO
from chalicelib.query.snapshot import DAY_SECONDS, shards
from chalicelib.store import layout
from chalicelib.store.layout import HOURS_PER_DAY, MINUTES_PER_HOUR
from chalicelib.store.shard import ShardView, read_consistently
from chalicelib.store.targets import EDGES_NAME, catalogue_of

if TYPE_CHECKING:
    from chalicelib.query.parameters import Range
    from chalicelib.store.items import ItemStore

HoursOfServices = dict[str, set[int]]
"""Service → hours since the epoch in which spans of it started."""


def hours_of_services(store: ItemStore, asked: Range) -> HoursOfServices:
    """Every service with a span that started in a range, in whole hours."""
    first_hour = asked.start // (3_600 * SECOND_NANO)
    last_hour = (asked.end - 1) // (3_600 * SECOND_NANO)

    def read(views: dict[int, ShardView]) -> HoursOfServices:
        found: HoursOfServices = {}
        for shard, view in views.items():
            for service, hour in [*_unfolded(view), *_catalogued(store, shard, asked)]:
                if first_hour <= hour <= last_hour:
                    found.setdefault(service, set()).add(hour)
        return found

    # Nothing leaves a catalogue and the segments at once, so a fold in between can only make a service appear twice.
    return read_consistently(store, shards(), read)[0]


def _unfolded(view: ShardView) -> set[tuple[str, int]]:
    return {
        (entry.service, entry.minute // MINUTES_PER_HOUR)
        for entry in view.entries
        if entry.HasField("statistics")
    }


def _catalogued(store: ItemStore, shard: int, asked: Range) -> set[tuple[str, int]]:
    day_nano = DAY_SECONDS * SECOND_NANO
    first, last = asked.start // day_nano, (asked.end - 1) // day_nano
    found = set()
    for item in store.query(
        config.STATISTICS_TABLE,
        layout.catalogue_partition(shard),
        layout.day_sort_key(first),
        layout.day_sort_key(last),
    ):
        value, day = item["v"], int(str(item["s"]))
        assert isinstance(value, bytes)
        for service, line in catalogue_of(value).items():
            hours = [hour for hour in range(HOURS_PER_DAY) if line.hours >> hour & 1]
            found |= {
                (service, day * HOURS_PER_DAY + hour) for hour in hours if service != EDGES_NAME
            }
    return found
