"""The fold: merges what commits have added, the segments, into statistics, edges and catalogues.

    fold-state, segments ──plan──▶ additions by target ──▶ one transaction: targets, waiting halves, fold-state
                                                            (on condition that nobody else has folded meanwhile)
    whole segments ──▶ deleted afterwards, and only then forgotten

Killed anywhere, or run twice at once, it ends the same: the transaction happens once, and what follows it can be
done again. Work is bounded: a step takes at most `TARGETS_MAX` targets and 3 MB.
"""

from __future__ import annotations

from collections import defaultdict
from heapq import merge
from itertools import repeat
from typing import TYPE_CHECKING, NamedTuple

from chalicelib import config
from chalicelib.model.clew_pb2 import FoldState
from chalicelib.model.clew_pb2 import Segment as SegmentMessage
from chalicelib.model.edges import edges_message
from chalicelib.model.frame import seal
from chalicelib.model.halves import merged_halves
from chalicelib.model.join import NewHalves, added_edges, known_for
from chalicelib.model.names import OTHER_SERVICES
from chalicelib.model.trace_filter import trace_filter
from chalicelib.model.units import SECOND_NANO
from chalicelib.store import layout
from chalicelib.store.half_edge_cache import HalfEdgeCache
from chalicelib.store.items import (
    EXPIRY,
    PARTITION_KEY,
    SORT_KEY,
    VALUE,
    ConditionFailed,
    Put,
    item_key,
)
from chalicelib.store.layout import HOURS_PER_DAY, MINUTES_PER_HOUR, Key, Level
from chalicelib.store.limits import (
    ITEM_BYTES_MAX,
    TRANSACTION_ACTIONS_MAX,
    TRANSACTION_BYTES_MAX,
    item_bytes,
)
from chalicelib.store.segment import sealed_segments
from chalicelib.store.shard import ShardView, Unfolded, fold_state_put
from chalicelib.store.targets import (
    EDGES,
    EDGES_NAME,
    STATISTICS,
    Line,
    above_services_cap,
    catalogue_of,
    catalogue_value,
    read_targets,
    target_puts,
)
from chalicelib.summarise.parents import EARLY_SECONDS, Looked, Looks

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from chalicelib.model.clew_pb2 import Edges as EdgesMessage
    from chalicelib.model.clew_pb2 import Halves as HalvesMessage
    from chalicelib.model.clew_pb2 import Statistics as StatisticsMessage
    from chalicelib.model.edges import Edges
    from chalicelib.store.half_edge_cache import CachedHalves
    from chalicelib.store.items import Item, ItemStore
    from chalicelib.store.segment import Entry
    from chalicelib.store.targets import Catalogue, Part, TargetForm, Versioned

TARGETS_MAX = 80
"""A transaction has 100 actions; what these leave is for catalogues, waiting halves, parts and the fold-state."""
STEP_BYTES_MAX = TRANSACTION_BYTES_MAX - 1_000_000
"""Size of all items that a step puts. The margin is so wide because a step that DynamoDB refused would come again."""
DIRTY_HOURS_MAX = 20_000
"""Named in a fold-state: two years. Spans with random clocks name a new hour each, and the item holds 400 KB."""
ENTRIES_MAX = 20_000
"""The most entries of a step: this bounds its memory."""
FILTERED_BYTES_MIN = 16_384
"""A step's halves that take fewer bytes have no filter: it would cost a write, rounded up, to save a few read units."""


def day_of(minute: int) -> int:
    return minute // (MINUTES_PER_HOUR * HOURS_PER_DAY)


class Additions:
    """What a step merges into targets, as stored: statistics by (service, minute), edges by minute."""

    def __init__(self) -> None:
        self.statistics: dict[tuple[str, int], list[StatisticsMessage]] = defaultdict(list)
        self.edges: dict[int, list[EdgesMessage]] = defaultdict(list)

    def add_edges(self, edges_by_minute: dict[int, Edges]) -> None:
        for minute, edges in edges_by_minute.items():
            self.edges[minute].append(edges_message(edges))

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
    halves: list[HalvesMessage]
    """The half-edges that are kept waiting."""
    due: Looked
    """What was looked up whatever is folded."""
    looked: Looked
    """The same, and what is folded."""
    progress: dict[str, int]
    """Segment → how many of its entries are folded after this step."""
    spilled: dict[int, Edges]
    """Edges over too many minutes for one step: they become a segment again, of entries that fit."""
    entry_count: int


class SelectedEntries(NamedTuple):
    """The unfolded entries of a step."""

    entries: list[Entry]
    progress: dict[str, int]
    early: list[HalvesMessage]
    """The half-edges among these that were committed so long ago that they are looked at now."""

    @property
    def halves(self) -> list[HalvesMessage]:
        of_entries = (entry.halves for entry in self.entries if entry.HasField("halves"))
        return list(merged_halves(of_entries))


def select_entries(
    view: ShardView, targets_max: int, entries_max: int, now_unix_seconds: int
) -> SelectedEntries:
    """Select as many unfolded entries as seem to fit one transaction, and at least one if there is any.

    Each segment's in order, but not one segment's after another's: those of one target together, so that it is
    written once for all of them.
    """
    progress = {segment.sort: segment.folded_count for segment in view.segments}
    entries: list[Entry] = []
    early: list[HalvesMessage] = []
    early_below = layout.segment_sort_key((now_unix_seconds - EARLY_SECONDS) * SECOND_NANO, b"")
    targets: set[tuple[str | None, int]] = set()
    for sort, entry in merge(*map(_unfolded, view.segments), key=_by_target):
        more = _targets_of(entry) - targets
        is_full = len(entries) == entries_max or len(targets) + len(more) > targets_max
        if entries and is_full:
            break
        targets |= more
        entries.append(entry)
        progress[sort] += 1
        if sort < early_below and entry.HasField("halves"):
            early.append(entry.halves)
    return SelectedEntries(entries, progress, early)


def _unfolded(segment: Unfolded) -> Iterable[tuple[str, Entry]]:
    return zip(repeat(segment.sort), segment.entries)


def _by_target(unfolded: tuple[str, Entry]) -> tuple[bool, str, int]:
    """The order in which segments have their entries: statistics first."""
    entry = unfolded[1]
    return not entry.service, entry.service, entry.minute


def _targets_of(entry: Entry) -> set[tuple[str | None, int]]:
    """(Service or EDGES_NAME, minute) and (None, day) of what an entry touches, but for minutes of waiting callers."""
    minutes = entry.halves.minutes if entry.HasField("halves") else (entry.minute,)
    # An entry without a service is of edges, or of halves.
    return {(entry.service, minute) for minute in minutes} | {
        (None, day_of(minute)) for minute in minutes
    }


def plan(
    entries: SelectedEntries,
    halves: list[HalvesMessage],
    due: Looked,
    looked: Looked,
    joined: dict[int, Edges],
    targets_max: int,
) -> Plan:
    """What to do about these entries, whose halves, with what a look has found, come to these edges."""
    additions, spilled = _additions(entries.entries, joined), {}
    if additions.target_count > targets_max:
        additions, spilled = _additions(entries.entries, {}), joined
    return Plan(additions, halves, due, looked, entries.progress, spilled, len(entries.entries))


def _additions(entries: Iterable[Entry], joined: dict[int, Edges]) -> Additions:
    additions = Additions()
    for entry in entries:
        if entry.HasField("statistics"):
            additions.statistics[entry.service, entry.minute].append(entry.statistics)
        elif entry.HasField("edges"):
            additions.edges[entry.minute].append(entry.edges)
    additions.add_edges(joined)
    return additions


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
            key = self.statistics_key(service, number, level)
            puts += self._grown(STATISTICS, key, level, statistics, stored)
        for number, edges in additions.edges.items():
            puts += self._grown(EDGES, self.edges_key(number, level), level, edges, stored)
        for day in additions.days:
            puts += self._catalogue_puts(day, catalogues[day], additions, stored)
        return puts

    def statistics_key(self, service: str, number: int, level: Level) -> Key:
        return Key(layout.statistics_partition(service), layout.level_sort_key(level, number))

    def edges_key(self, number: int, level: Level) -> Key:
        return Key(layout.edges_partition(self._shard), layout.level_sort_key(level, number))

    def catalogue_key(self, day: int) -> Key:
        return Key(layout.catalogue_partition(self._shard), layout.day_sort_key(day))

    def _grown(
        self,
        form: TargetForm[Part],
        key: Key,
        level: Level,
        added: Sequence[Part],
        stored: dict[Key, Versioned],
    ) -> list[Put]:
        value = form.grown(stored[key].value, added)
        return self.replace(key, stored[key].version, value, level)

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
        capped.statistics[name, minute] += statistics
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
        remembered: HalfEdgeCache | None = None,
        looks: Looks | None = None,
    ) -> None:
        self._store = store
        self._shard = shard
        self._now = now_unix_seconds
        self._remembered = remembered or HalfEdgeCache()
        self._looks = looks or Looks(store, now_unix_seconds)

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
        entries_max, due = ENTRIES_MAX, None
        while True:
            planned = self._plan(view, entries_max, due)
            actions = self._actions(view, planned)
            if planned.entry_count == 1 or _fits(actions):
                break
            entries_max, due = planned.entry_count // 2, planned.due
        try:
            self._store.transact(actions)
        except ConditionFailed:
            return True
        self._looks.left = planned.looked.left
        return True

    def _plan(self, view: ShardView, entries_max: int, due: Looked | None) -> Plan:
        """A step of so many entries. `due` is what was looked up for one of more entries, which did not fit."""
        entries = select_entries(view, TARGETS_MAX, entries_max, self._now)
        halves, state = entries.halves, view.state
        waiting: list[CachedHalves] = []
        # Waiting halves are read only for halves that could pair with them, and to look for callers.
        if halves or self._looks.is_due(state):
            waiting = list(self._remembered.waiting(self._store, self._shard, state))
        at_once = due is None
        due = due or self._looks.look(state, waiting, halves)
        looked = self._looks.look_early(due, waiting, halves, entries.early, at_once=at_once)
        joined: dict[int, Edges] = {}
        if looked.parents:
            halves = list(merged_halves([*halves, *looked.messages]))
        if halves:
            new = NewHalves(halves, self._now)
            known = known_for(waiting, new)
            joined = added_edges(known, new, config.PENDING_WINDOW_SECONDS)
        return plan(entries, halves, due, looked, joined, TARGETS_MAX)

    def _actions(self, view: ShardView, planned: Plan) -> list[Put]:
        sequence = view.state.version + 1
        kept = self._waiting_items(planned.halves, sequence)
        filters = self._filter_items(planned.halves, kept, sequence)
        spilled = self._spilled_items(planned.spilled, sequence)
        target_actions = TargetActions(self._store, self._shard, self._now)
        puts = target_actions.puts(planned.additions)
        state = self._state_after(view, planned, has_waiting=bool(kept), has_filter=bool(filters))
        state.has_other_services |= target_actions.has_other_services
        return [
            *puts,
            *(Put(config.STATISTICS_TABLE, item) for item in [*kept, *filters, *spilled]),
            fold_state_put(self._shard, view.state.version, state),
        ]

    @property
    def _halves_expiry(self) -> int:
        return self._now + 4 * config.PENDING_WINDOW_SECONDS

    def _waiting_items(self, halves: Sequence[HalvesMessage], sequence: int) -> list[Item]:
        return [
            {
                PARTITION_KEY: layout.halves_partition(self._shard),
                SORT_KEY: layout.halves_sort_key(sequence, part),
                VALUE: seal(message.SerializeToString(deterministic=True)),
                EXPIRY: self._halves_expiry,
            }
            for part, message in enumerate(halves)
        ]

    def _filter_items(
        self, halves: Sequence[HalvesMessage], kept: Sequence[Item], sequence: int
    ) -> list[Item]:
        """One, where it is worth its price. Without one the step's halves are read by whoever looks for any."""
        if sum(map(item_bytes, kept)) < FILTERED_BYTES_MIN:
            return []
        message = trace_filter(b"".join(each.trace_ids for each in halves))
        item: Item = {
            PARTITION_KEY: layout.filters_partition(self._shard),
            SORT_KEY: layout.filter_sort_key(sequence),
            VALUE: seal(message.SerializeToString(deterministic=True)),
            EXPIRY: self._halves_expiry,
        }
        # Only of a hundred thousand traces with one span each could a filter be larger.
        return [item] if item_bytes(item) <= ITEM_BYTES_MAX else []

    def _spilled_items(self, spilled: dict[int, Edges], sequence: int) -> list[Item]:
        entries = [
            SegmentMessage.Entry(minute=minute, edges=edges_message(edges))
            for minute, edges in sorted(spilled.items())
        ]
        return segment_items(self._shard, sequence, entries)

    def _state_after(
        self, view: ShardView, planned: Plan, *, has_waiting: bool, has_filter: bool
    ) -> FoldState:
        before = view.state
        state = FoldState()
        state.CopyFrom(before)
        state.version = before.version + 1
        planned.looked.note_in(state)
        del state.progress[:]
        # Segments that the view would have but has not are deleted: they are forgotten here. What lies beyond a view
        # that is cut off may be there.
        seen_to = "" if view.is_whole else view.segments[-1].sort
        beyond = {p.segment: p.entries for p in before.progress if seen_to and p.segment > seen_to}
        for sort, entries in sorted({**beyond, **planned.progress}.items()):
            if entries:
                state.progress.add(segment=sort, entries=entries)
        if has_waiting:
            state.pending.add(
                sequence=state.version, folded_unix_seconds=self._now, has_filter=has_filter
            )
        hours = {hour for _, hour in planned.additions.hours}
        state.dirty_hours[:] = sorted(hours.union(before.dirty_hours))
        return state

    def _delete_folded(self, view: ShardView) -> None:
        folded = [segment.sort for segment in view.segments if not segment.entries]
        partition = layout.fold_partition(self._shard)
        keys = [item_key(partition, sort) for sort in folded]
        self._store.delete_batch(config.STATISTICS_TABLE, keys)


def segment_items(shard: int, sequence: int, entries: Iterable[Entry]) -> list[Item]:
    """Segments that a step, which makes the fold-state's version `sequence`, writes for later ones."""
    return [
        {
            PARTITION_KEY: layout.fold_partition(shard),
            SORT_KEY: layout.spilled_sort_key(sequence, part),
            VALUE: value,
        }
        for part, value in enumerate(sealed_segments(entries))
    ]


def _fits(actions: Sequence[Put]) -> bool:
    size = sum(item_bytes(action.item) for action in actions)
    return len(actions) <= TRANSACTION_ACTIONS_MAX and size <= STEP_BYTES_MAX
