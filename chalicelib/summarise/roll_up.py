"""The roll-up: moves what minutes hold to their hour, and what hours hold to their day.

A minute's `pending` is what its hour has not yet got. Rolling up moves exactly that, in a transaction that also empties
it; so late data, which makes pending parts again, reaches every level exactly once. Which hours are to be visited the
fold-state says, and which services in them the day's catalogue. All of it is conditioned on the fold-state's version:
no fold can come between.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from chalicelib import config
from chalicelib.model.clew_pb2 import FoldState
from chalicelib.store.items import ConditionFailed, Put
from chalicelib.store.layout import HOURS_PER_DAY, MINUTES_PER_HOUR, Key, Level
from chalicelib.store.limits import item_bytes
from chalicelib.store.shard import fold_state_put
from chalicelib.store.targets import (
    EDGES,
    EDGES_NAME,
    STATISTICS,
    Line,
    Versioned,
    catalogue_of,
    catalogue_value,
    read_targets,
)
from chalicelib.summarise.fold import STEP_BYTES_MAX, TargetActions

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.store.items import ItemStore
    from chalicelib.store.shard import ShardView
    from chalicelib.store.targets import Catalogue, Part, TargetForm

_BYTES_MAX = STEP_BYTES_MAX - 500_000
"""The bound for the puts of lower targets, which leaves room for the upper one, catalogue and fold-state."""

_AHEAD_SECONDS_MAX = 86_400
"""No zone's clock is a day ahead of another's."""


class Move(NamedTuple):
    """A move from one level's items to one item of the level above."""

    lower: Level
    upper: Level
    number: int
    """The hour or day of the upper item."""
    per_upper: int

    @property
    def day(self) -> int:
        return self.number // HOURS_PER_DAY if self.upper is Level.HOUR else self.number


def moves_due(state: FoldState, now_unix_seconds: int) -> list[Move]:
    """What is to be rolled up: hours, then days, that are dirty and over, or that a wrong clock has put far ahead."""

    def over(number: int, level: Level) -> bool:
        start, end = number * level.seconds, (number + 1) * level.seconds
        # Those ahead would else be named in the fold-state for centuries.
        is_far_ahead = start > now_unix_seconds + _AHEAD_SECONDS_MAX
        return is_far_ahead or end + config.ROLL_UP_DELAY_SECONDS <= now_unix_seconds

    hours = [hour for hour in state.dirty_hours if over(hour, Level.HOUR)]
    days = [day for day in state.dirty_days if over(day, Level.DAY)]
    return [Move(Level.MINUTE, Level.HOUR, hour, MINUTES_PER_HOUR) for hour in hours] + [
        Move(Level.HOUR, Level.DAY, day, HOURS_PER_DAY) for day in days
    ]


class RollUp:
    """Rolls up one shard."""

    def __init__(self, store: ItemStore, shard: int, now_unix_seconds: int) -> None:
        self._store = store
        self._shard = shard
        self._now = now_unix_seconds
        self._actions = TargetActions(store, shard, now_unix_seconds)

    def step(self, view: ShardView) -> bool:
        """Move one service's (or the edges') hour or day; return whether there is more to do."""
        state = view.state
        moves = moves_due(state, self._now)
        if not moves:
            return False
        move = moves[0]
        key = self._actions.catalogue_key(move.day)
        stored = read_targets(self._store, [key])[key]
        catalogue = catalogue_of(stored.value)
        names = sorted(name for name, line in catalogue.items() if _is_dirty(line, move))
        after = FoldState()
        after.CopyFrom(state)
        after.version += 1
        puts: list[Put] = []
        if names:
            puts, is_whole = self._move(names[0], move)
            if is_whole:
                catalogue = {**catalogue, names[0]: _clean(catalogue[names[0]], move)}
                puts += self._catalogue_puts(key, stored, catalogue)
                if move.upper is Level.HOUR:
                    after.dirty_days[:] = sorted({move.day, *state.dirty_days})
        if not names or (len(names) == 1 and is_whole):
            _remove(
                after.dirty_hours if move.upper is Level.HOUR else after.dirty_days, move.number
            )
        try:
            self._store.transact([*puts, fold_state_put(self._shard, state.version, after)])
        except ConditionFailed:
            return True
        return True

    def _catalogue_puts(self, key: Key, stored: Versioned, catalogue: Catalogue) -> list[Put]:
        return self._actions.replace(key, stored.version, catalogue_value(catalogue), Level.DAY)

    def _move(self, name: str, move: Move) -> tuple[list[Put], bool]:
        """The puts that move one name's pending parts, and whether they are all of them."""
        if name == EDGES_NAME:
            return self._move_targets(move, self._actions.edges_key, EDGES)
        return self._move_targets(move, partial(self._actions.statistics_key, name), STATISTICS)

    def _move_targets(
        self, move: Move, key_of: Callable[[int, Level], Key], form: TargetForm[Part]
    ) -> tuple[list[Put], bool]:
        upper = key_of(move.number, move.upper)
        first = move.number * move.per_upper
        lowers: list[Key] = [
            key_of(number, move.lower) for number in range(first, first + move.per_upper)
        ]
        stored = read_targets(self._store, [upper, *lowers])
        moved: list[Part] = []
        puts: list[Put] = []
        is_whole = True
        for key in lowers:
            before = stored[key]
            pending = form.pending(before.value)
            if pending is None:
                continue
            emptied = form.emptied(before.value)
            if puts and len(emptied) + sum(item_bytes(put.item) for put in puts) > _BYTES_MAX:
                is_whole = False
                break
            moved.append(pending)
            puts += self._actions.replace(key, before.version, emptied, move.lower)
        if puts:
            grown = form.grown(stored[upper].value, moved)
            puts += self._actions.replace(upper, stored[upper].version, grown, move.upper)
        return puts, is_whole


def _is_dirty(line: Line, move: Move) -> bool:
    if move.upper is Level.HOUR:
        return bool(line.hours_dirty >> move.number % HOURS_PER_DAY & 1)
    return line.day_dirty


def _clean(line: Line, move: Move) -> Line:
    """Mark this hour or day as clean after its move, and the day of an hour that got something as dirty."""
    if move.upper is Level.HOUR:
        bit = 1 << move.number % HOURS_PER_DAY
        return line._replace(hours_dirty=line.hours_dirty & ~bit, day_dirty=True)
    return line._replace(day_dirty=False)


def _remove(numbers: Any, number: int) -> None:
    numbers[:] = [each for each in numbers if each != number]
