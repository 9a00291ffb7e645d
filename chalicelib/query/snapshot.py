"""What the summarised side holds right now: targets, and what commits have added since the last fold.

Times below a level's resolution are gathered into steps: a step's value is what its targets hold in total, what the
levels below hold and have not yet moved up (`pending`), and what is not folded yet. Which hours and days have anything
pending the catalogues say: so a year's answer does not read a year's minutes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

from chalicelib import config
from chalicelib.store.layout import HOURS_PER_DAY, Level
from chalicelib.store.targets import query_catalogues, query_targets

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from chalicelib.store.items import ItemStore
    from chalicelib.store.targets import Catalogue

LEVELS = (Level.MINUTE, Level.HOUR, Level.DAY)
MINUTE_SECONDS, HOUR_SECONDS, DAY_SECONDS = (level.seconds for level in LEVELS)


class Seconds(NamedTuple):
    """[start, end) in seconds since the epoch, in whole units of a level."""

    start: int
    end: int


def widened(start: int, end: int, unit: int) -> Seconds:
    """The range in whole units."""
    return Seconds(start // unit * unit, -(-end // unit) * unit)


def level_for(step_seconds: int, start_seconds: int, now_unix_seconds: int) -> Level:
    """The coarsest level that a step can be made of, or the finest above it that still has the start.

    What a level has of a unit is kept for its retention after the unit began, or longer.
    """
    fitting = next(level for level in reversed(LEVELS) if step_seconds % level.seconds == 0)
    for level in LEVELS[LEVELS.index(fitting) :]:
        first = widened(start_seconds, start_seconds, rounded_up(step_seconds, level)).start
        if now_unix_seconds - level.retention_seconds <= first:
            return level
    return Level.DAY


def rounded_up(step_seconds: int, level: Level) -> int:
    """The step in whole units of a level."""
    return -(-step_seconds // level.seconds) * level.seconds


def catalogues(
    store: ItemStore, shard: int, seconds: Seconds, now_unix_seconds: int
) -> Iterator[tuple[int, Catalogue]]:
    """(Day, catalogue) of every day of a range that a shard has one of."""
    first, last = seconds.start // DAY_SECONDS, (seconds.end - 1) // DAY_SECONDS
    yield from query_catalogues(store, shard, first, last, now_unix_seconds)


Part = TypeVar("Part", covariant=True)


class PartOf(Protocol[Part]):
    def __call__(self, value: bytes, *, pending: bool) -> Part:
        """What is wanted of a stored target: of its pending part, or of its total."""


class Pending(NamedTuple):
    """Where the levels below may hold what a level has not yet got."""

    hours: set[int]
    """Hours of which a minute has a pending part."""
    days: set[int]
    """Days of which an hour may have one."""


def pending_of(
    store: ItemStore, shards: Iterable[int], name: str, seconds: Seconds, now_unix_seconds: int
) -> Pending:
    """Where a service (or EDGES_NAME) has pending parts in a range, by the shards' catalogues."""
    found = Pending(set(), set())
    for shard in shards:
        for day, catalogue in catalogues(store, shard, seconds, now_unix_seconds):
            if line := catalogue.get(name):
                hours = [hour for hour in range(HOURS_PER_DAY) if line.hours_dirty >> hour & 1]
                found.hours.update(day * HOURS_PER_DAY + hour for hour in hours)
                # An hour whose minutes have moved only in part has something, and its day is not yet marked.
                if line.day_dirty or hours:
                    found.days.add(day)
    return found


def held(
    store: ItemStore,
    partition: str,
    level: Level,
    seconds: Seconds,
    pending: Pending,
    now_unix_seconds: int,
    part_of: PartOf[Part],
) -> Iterator[tuple[int, Part]]:
    """(Start second, value) of everything that a partition's targets hold in a range, in whole units of a level.

    Totals of the level itself, and pending parts of those below, at their own times; `part_of` decodes either.
    """
    below = {
        Level.MINUTE: _joined(pending.hours, HOUR_SECONDS, seconds),
        Level.HOUR: _joined(pending.days, DAY_SECONDS, seconds),
    }
    for each in LEVELS[: LEVELS.index(level) + 1]:
        for part in [seconds] if each is level else below[each]:
            first, last = part.start // each.seconds, (part.end - 1) // each.seconds
            stored = query_targets(store, partition, each, first, last, now_unix_seconds)
            for number, value in stored:
                yield number * each.seconds, part_of(value, pending=each is not level)


def _joined(numbers: Iterable[int], unit_seconds: int, within: Seconds) -> list[Seconds]:
    """Units by number as ranges, neighbours joined; those outside left out."""
    joined: list[Seconds] = []
    for number in sorted(numbers):
        start = number * unit_seconds
        if not within.start <= start < within.end:
            continue
        if joined and joined[-1].end == start:
            start = joined.pop().start
        joined.append(Seconds(start, (number + 1) * unit_seconds))
    return joined


def shards() -> range:
    return range(config.SHARDS_READ)
