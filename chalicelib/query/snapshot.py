"""What the summarised side holds right now: targets, and what commits have added since the last fold.

Times below a level's resolution are gathered into steps: a step's value is what its targets hold in total, what the
levels below hold and have not yet moved up (`pending`), and what is not folded yet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from chalicelib import config
from chalicelib.store.layout import Level
from chalicelib.store.targets import query_targets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from chalicelib.store.items import ItemStore
    from chalicelib.store.targets import Kept, Target

LEVELS = (Level.MINUTE, Level.HOUR, Level.DAY)
MINUTE_SECONDS, HOUR_SECONDS, DAY_SECONDS = (level.seconds for level in LEVELS)


class Seconds(NamedTuple):
    """[start, end) in seconds since the epoch, in whole units of a level."""

    start: int
    end: int


def level_for(step_seconds: int, start_seconds: int, now_unix_seconds: int) -> Level:
    """The coarsest level that a step can be made of, or the finest whose retention reaches back to the start."""
    for level in reversed(LEVELS):
        if step_seconds % level.seconds == 0:
            fitting = level
            break
    else:
        fitting = Level.MINUTE
    kept = [
        level
        for level in LEVELS[LEVELS.index(fitting) :]
        if now_unix_seconds - level.retention_seconds <= start_seconds
    ]
    return kept[0] if kept else Level.DAY


def held(
    store: ItemStore,
    partition: str,
    level: Level,
    seconds: Seconds,
    now_unix_seconds: int,
    target_of: Callable[[bytes], Target[Kept]],
) -> Iterator[tuple[int, Kept]]:
    """(Start second, value) of everything that a partition's targets hold in a range at a level.

    Totals of the level itself, and pending parts of those below, at their own times.
    """
    for each in LEVELS[: LEVELS.index(level) + 1]:
        first, last = seconds.start // each.seconds, (seconds.end - 1) // each.seconds
        for number, value in query_targets(store, partition, each, first, last, now_unix_seconds):
            target = target_of(value)
            yield number * each.seconds, target.total if each is level else target.pending


def shards() -> range:
    return range(config.SHARDS_READ)
