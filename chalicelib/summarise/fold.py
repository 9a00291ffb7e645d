"""The fold: merges what commits have added, the segments, into statistics, edges and catalogues.

    fold-state, segments ──plan──▶ additions by target ──▶ one transaction: targets, waiting halves, fold-state
                                                            (on condition that nobody else has folded meanwhile)
    whole segments ──▶ deleted afterwards, and only then forgotten

Killed anywhere, or run twice at once, it ends the same: the transaction happens once, and what follows it can be
done again. Work is bounded: a step takes at most `TARGETS_MAX` targets and 3 MB.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from chalicelib import config
from chalicelib.model.clew_pb2 import FoldState
from chalicelib.model.clew_pb2 import Segment as SegmentMessage
from chalicelib.model.edges import Edges, edges_from, edges_message
from chalicelib.model.frame import seal
from chalicelib.model.halves import Halves, halves_from, halves_messages, keys_in
from chalicelib.model.names import OTHER_SERVICES
from chalicelib.model.statistics import Statistics, statistics_from
from chalicelib.store import layout
from chalicelib.store.dynamodb import item_bytes
from chalicelib.store.items import ConditionFailed, Put
from chalicelib.store.layout import HOURS_PER_DAY, MINUTES_PER_HOUR, Key, Level
from chalicelib.store.remembered import RememberedHalves
from chalicelib.store.segment import sealed_segments
from chalicelib.store.shard import ShardView, fold_state_put
from chalicelib.store.targets import (
    EDGES_NAME,
    Line,
    above_services_cap,
    catalogue_of,
    catalogue_value,
    edges_target,
    edges_value,
    read_targets,
    statistics_target,
    statistics_value,
    target_puts,
)
from chalicelib.summarise.join import KnownHalves, added_edges, halves_at, known_among

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from chalicelib.store.items import Item, ItemStore
    from chalicelib.store.remembered import Kept
    from chalicelib.store.segment import Entry
    from chalicelib.store.targets import Catalogue, Versioned

TARGETS_MAX = 80
"""Of a transaction's 100 actions; the rest is for catalogues, waiting halves, parts and the fold-state."""
TRANSACTION_BYTES_MAX = 3_000_000
DIRTY_HOURS_MAX = 20_000
"""Named in a fold-state: two years. Spans with random clocks name a new hour each, and the item holds 400 KB."""
ENTRIES_MAX = 20_000
"""Of a step: bounds its memory."""


def day_of(minute: int) -> int:
    return minute // (MINUTES_PER_HOUR * HOURS_PER_DAY)


class Additions:
    """What a step merges into targets: statistics by (service, minute), edges by minute."""

    def __init__(self) -> None:
        self.statistics: dict[tuple[str, int], Statistics] = {}
        self.edges: dict[int, Edges] = {}

    def add_statistics(self, service: str, minute: int, statistics: Statistics) -> None:
        self.statistics.setdefault((service, minute), Statistics()).add(statistics)

    def add_edges(self, edges_by_minute: dict[int, Edges]) -> None:
        for minute, edges in edges_by_minute.items():
            self.edges.setdefault(minute, Edges()).add(edges)

    @property
    def target_count(self) -> int:
        """Targets that these touch, catalogues included."""
        return len(self.statistics) + len(self.edges) + len(self.days)

    @property
    def days(self) -> set[int]:
        return {day_of(minute) for _, minute in self.statistics} | set(map(day_of, self.edges))

    @property
    def hours(self) -> set[tuple[str, int]]:
        """(Service or EDGES_NAME, hour) of every minute touched."""
        of_statistics = {
            (service, minute // MINUTES_PER_HOUR) for service, minute in self.statistics
        }
        return of_statistics | {(EDGES_NAME, minute // MINUTES_PER_HOUR) for minute in self.edges}


class Plan(NamedTuple):
    """A step, decided but not done."""

    additions: Additions
    halves: Halves
    """To be kept waiting."""
    progress: dict[str, int]
    """Segment → how many of its entries are folded after this step."""
    spilled: dict[int, Edges]
    """Edges over too many minutes for one step: they become a segment again, of entries that fit."""
    entry_count: int


def plan(
    view: ShardView, known: KnownHalves, now_unix_seconds: int, targets_max: int, entries_max: int
) -> Plan:
    """As many unfolded entries, in order, as fit one transaction; at least one if there is any."""
    additions, kept = Additions(), Halves(set(), set())
    progress = {segment.sort: segment.folded_count for segment in view.segments}
    taken = 0
    for sort, entry in _unfolded(view):
        if taken == entries_max:
            break
        halves = halves_from(entry.halves)
        new = halves_at(halves, now_unix_seconds)
        step = _of_entry(entry, new, known)
        grown = _targets_with(additions, step)
        if grown > targets_max and taken:
            break
        if grown > targets_max:
            # One entry of halves with calls in many minutes, alone.
            return Plan(
                Additions(),
                halves,
                {**progress, sort: progress[sort] + 1},
                step.edges,
                1,
            )
        for (service, minute), statistics in step.statistics.items():
            additions.add_statistics(service, minute, statistics)
        additions.add_edges(step.edges)
        known.take(new)
        kept.callers.update(halves.callers)
        kept.callees.update(halves.callees)
        progress[sort] += 1
        taken += 1
    return Plan(additions, kept, progress, {}, taken)


def _unfolded(view: ShardView) -> Iterator[tuple[str, Entry]]:
    for segment in view.segments:
        for entry in segment.entries:
            yield segment.sort, entry


def _of_entry(entry: Entry, new: KnownHalves, known: KnownHalves) -> Additions:
    additions = Additions()
    if entry.HasField("statistics"):
        statistics = statistics_from(entry.statistics)
        additions.add_statistics(entry.service, entry.minute, statistics)
    elif entry.HasField("edges"):
        additions.add_edges({entry.minute: edges_from(entry.edges)})
    else:
        additions.add_edges(added_edges(known, new, config.PENDING_WINDOW_SECONDS))
    return additions


def _targets_with(additions: Additions, step: Additions) -> int:
    united = Additions()
    united.statistics = {**additions.statistics, **step.statistics}
    united.edges = {**additions.edges, **step.edges}
    return united.target_count


def known_halves(waiting: Iterable[Kept], entries: Iterable[Entry]) -> KnownHalves:
    """The waiting halves that may pair with halves of these entries."""
    of_entries = (entry.halves for entry in entries if entry.HasField("halves"))
    return known_among(waiting, set().union(*map(keys_in, of_entries)))


class TargetActions:
    """Turns additions into the puts of one transaction, having read what they add to."""

    def __init__(self, store: ItemStore, shard: int, now_unix_seconds: int) -> None:
        self._store = store
        self._shard = shard
        self._now = now_unix_seconds
        self.has_other_services = False
        """Whether services were counted together."""

    def puts(self, additions: Additions, level: Level = Level.MINUTE) -> list[Put]:
        """The puts of targets and catalogues; the catalogues that already say so are left alone."""
        keys = [
            self.statistics_key(service, number, level) for service, number in additions.statistics
        ]
        keys += [self.edges_key(number, level) for number in additions.edges]
        keys += [self.catalogue_key(day) for day in additions.days]
        stored = read_targets(self._store, keys)
        catalogues = {
            day: catalogue_of(stored[self.catalogue_key(day)].value) for day in additions.days
        }
        capped = within_services_cap(additions, catalogues)
        if capped is not additions:
            self.has_other_services = True
            more = {self.statistics_key(*each, level) for each in capped.statistics} - set(keys)
            stored |= read_targets(self._store, list(more))
            additions = capped
        puts: list[Put] = []
        for (service, number), statistics in additions.statistics.items():
            puts += self._statistics_puts(service, number, level, statistics, stored)
        for number, edges in additions.edges.items():
            puts += self._edges_puts(number, level, edges, stored)
        for day in additions.days:
            puts += self._catalogue_puts(day, catalogues[day], additions, stored)
        return puts

    def statistics_key(self, service: str, number: int, level: Level) -> Key:
        return Key(layout.statistics_partition(service), layout.level_sort_key(level, number))

    def edges_key(self, number: int, level: Level) -> Key:
        return Key(layout.edges_partition(self._shard), layout.level_sort_key(level, number))

    def catalogue_key(self, day: int) -> Key:
        return Key(layout.catalogue_partition(self._shard), layout.day_sort_key(day))

    def _statistics_puts(
        self,
        service: str,
        number: int,
        level: Level,
        added: Statistics,
        stored: dict[Key, Versioned],
    ) -> list[Put]:
        key = self.statistics_key(service, number, level)
        target = statistics_target(stored[key].value)
        target.add(added)
        return self.replace(key, stored[key].version, statistics_value(target), level)

    def _edges_puts(
        self, number: int, level: Level, added: Edges, stored: dict[Key, Versioned]
    ) -> list[Put]:
        key = self.edges_key(number, level)
        target = edges_target(stored[key].value)
        target.add(added)
        return self.replace(key, stored[key].version, edges_value(target), level)

    def _catalogue_puts(
        self, day: int, before: Catalogue, additions: Additions, stored: dict[Key, Versioned]
    ) -> list[Put]:
        key = self.catalogue_key(day)
        after = with_dirty_hours(before, day, additions.hours)
        if after == before:
            return []
        return self.replace(key, stored[key].version, catalogue_value(after), Level.DAY)

    def replace(self, key: Key, version: int, value: bytes, level: Level) -> list[Put]:
        return target_puts(key, version, value, self._now + level.retention_seconds)


def within_services_cap(additions: Additions, catalogues: dict[int, Catalogue]) -> Additions:
    """The same by day with the services above the cap together, as OTHER_SERVICES; itself where there are none."""
    services: dict[int, set[str]] = defaultdict(set)
    for service, minute in additions.statistics:
        services[day_of(minute)].add(service)
    above = {day: above_services_cap(catalogues[day], of_day) for day, of_day in services.items()}
    if not any(above.values()):
        return additions
    capped = Additions()
    capped.edges = additions.edges
    for (service, minute), statistics in additions.statistics.items():
        name = OTHER_SERVICES if service in above[day_of(minute)] else service
        capped.add_statistics(name, minute, statistics)
    return capped


def with_dirty_hours(catalogue: Catalogue, day: int, hours: Iterable[tuple[str, int]]) -> Catalogue:
    """The catalogue of `day`, saying also that these hours hold something that is to be rolled up."""
    after = dict(catalogue)
    for name, hour in hours:
        if hour // HOURS_PER_DAY == day:
            line, bit = after.get(name, Line()), 1 << hour % HOURS_PER_DAY
            after[name] = line._replace(hours=line.hours | bit, hours_dirty=line.hours_dirty | bit)
    return after


class ShardFold:
    """Folds one shard."""

    def __init__(
        self,
        store: ItemStore,
        shard: int,
        now_unix_seconds: int,
        remembered: RememberedHalves | None = None,
    ) -> None:
        self._store = store
        self._shard = shard
        self._now = now_unix_seconds
        self._remembered = remembered or RememberedHalves()

    def step(self, view: ShardView) -> bool:
        """Fold what fits one transaction, or delete what is folded; return whether there may be more to fold.

        Raises StoreThrottled or StoreError; nothing is then half done. If another fold came first, nothing is done.
        """
        if len(view.state.dirty_hours) >= DIRTY_HOURS_MAX:
            # The roll-up has its turn first: all but the hours about now are due.
            return False
        if not any(segment.entries for segment in view.segments):
            self._delete_folded(view)
            return not view.is_whole
        entries_max = ENTRIES_MAX
        while True:
            planned = self._plan(view, entries_max)
            actions = self._actions(view, planned)
            if planned.entry_count == 1 or _fits(actions):
                break
            entries_max = planned.entry_count // 2
        try:
            self._store.transact(actions)
        except ConditionFailed:
            return True
        return True

    def _plan(self, view: ShardView, entries_max: int) -> Plan:
        # Waiting halves are read only for entries that could pair with them.
        known = KnownHalves()
        if any(entry.HasField("halves") for entry in view.entries):
            waiting = self._remembered.waiting(self._store, self._shard, view.state)
            known = known_halves(waiting, view.entries)
        return plan(view, known, self._now, TARGETS_MAX, entries_max)

    def _actions(self, view: ShardView, planned: Plan) -> list[Put]:
        sequence = view.state.version + 1
        kept = self._waiting_items(planned.halves, sequence)
        spilled = self._spilled_items(planned.spilled, sequence)
        target_actions = TargetActions(self._store, self._shard, self._now)
        puts = target_actions.puts(planned.additions)
        state = self._state_after(view, planned, has_waiting=bool(kept))
        state.has_other_services |= target_actions.has_other_services
        return [
            *puts,
            *(Put(config.STATISTICS_TABLE, item) for item in [*kept, *spilled]),
            fold_state_put(self._shard, view.state.version, state),
        ]

    def _waiting_items(self, halves: Halves, sequence: int) -> list[Item]:
        return [
            {
                "p": layout.halves_partition(self._shard),
                "s": layout.halves_sort_key(sequence, part),
                "v": seal(message.SerializeToString(deterministic=True)),
                "x": self._now + 4 * config.PENDING_WINDOW_SECONDS,
            }
            for part, message in enumerate(halves_messages(halves))
        ]

    def _spilled_items(self, spilled: dict[int, Edges], sequence: int) -> list[Item]:
        entries = [
            SegmentMessage.Entry(minute=minute, edges=edges_message(edges))
            for minute, edges in sorted(spilled.items())
        ]
        return [
            {
                "p": layout.fold_partition(self._shard),
                "s": layout.spilled_sort_key(sequence, part),
                "v": value,
            }
            for part, value in enumerate(sealed_segments(entries))
        ]

    def _state_after(self, view: ShardView, planned: Plan, *, has_waiting: bool) -> FoldState:
        before = view.state
        state = FoldState()
        state.CopyFrom(before)
        state.version = before.version + 1
        del state.progress[:]
        # Segments that the view would have but has not are deleted: they are forgotten here. What lies beyond a view
        # that is cut off may be there.
        seen_to = "" if view.is_whole else view.segments[-1].sort
        beyond = {p.segment: p.entries for p in before.progress if seen_to and p.segment > seen_to}
        for sort, entries in sorted({**beyond, **planned.progress}.items()):
            if entries:
                state.progress.add(segment=sort, entries=entries)
        if has_waiting:
            state.pending.add(sequence=state.version, folded_unix_seconds=self._now)
        hours = {hour for _, hour in planned.additions.hours}
        state.dirty_hours[:] = sorted(hours.union(before.dirty_hours))
        return state

    def _delete_folded(self, view: ShardView) -> None:
        folded = [segment.sort for segment in view.segments if not segment.entries]
        partition = layout.fold_partition(self._shard)
        keys: Sequence[Item] = [{"p": partition, "s": sort} for sort in folded]
        self._store.delete_batch(config.STATISTICS_TABLE, keys)


def _fits(actions: Sequence[Put]) -> bool:
    size = sum(item_bytes(action.item) for action in actions)
    return len(actions) <= 100 and size <= TRANSACTION_BYTES_MAX
