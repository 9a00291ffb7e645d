"""Targets: the items of statistics, edges and catalogues that the fold merges into.

A target holds its total, and the part of it that the level above has not yet got. A value over the item limit is cut
into parts, in items of their own whose sort keys follow the target's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from google.protobuf.message import Message

from chalicelib import config
from chalicelib.model.clew_pb2 import Catalogue as CatalogueMessage
from chalicelib.model.clew_pb2 import EdgesTarget, StatisticsTarget
from chalicelib.model.edges import merged_edges
from chalicelib.model.frame import message_in, seal
from chalicelib.model.names import OTHER_SERVICES
from chalicelib.model.statistics import (
    Statistics,
    above_cap,
    merged_statistics,
    statistics_from,
)
from chalicelib.store.items import (
    EXPIRY,
    PART_COUNT,
    PARTITION_KEY,
    SORT_KEY,
    VALUE,
    VERSION,
    Put,
    expiry_of,
    item_key,
    value_of,
    version_of,
    versioned_put,
)
from chalicelib.store.layout import Key, Level, catalogue_partition, day_sort_key, level_sort_key

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from chalicelib.model.clew_pb2 import Edges as EdgesMessage
    from chalicelib.model.edges import CallCounts
    from chalicelib.model.statistics import SeriesKey
    from chalicelib.store.items import Item, ItemStore

_PART_BYTES_MAX = 380_000
_PART_MAX = 99

Part = TypeVar("Part", bound=Message)


class Versioned(NamedTuple):
    """A target's stored bytes; version 0 and no bytes: it is not there yet."""

    value: bytes
    version: int


NOT_THERE = Versioned(b"", 0)


class TargetForm(Generic[Part]):
    """How statistics, or edges, are stored and merged as targets. Its methods raise StoreError for damaged ones."""

    def __init__(
        self,
        message: type[StatisticsTarget | EdgesTarget],
        merged: Callable[[Sequence[Part]], Part],
    ) -> None:
        self._message: Any = message
        self._merged: Callable[[Sequence[Part]], Part] = merged

    def grown(self, value: bytes, added: Sequence[Part]) -> bytes:
        """The stored value after these are merged into the total, and into what the level above is still to get."""
        before = message_in(self._message, value)
        total = self._merged([before.total, *added])
        if before.all_pending or not value:
            return _sealed(self._message(total=total, all_pending=True))
        pending = self._merged([before.pending, *added])
        if pending == total:
            return _sealed(self._message(total=total, all_pending=True))
        return _sealed(self._message(total=total, pending=pending))

    def pending(self, value: bytes) -> Part | None:
        """What the level above is still to get; None for nothing."""
        message = message_in(self._message, value)
        has_any = message.all_pending or message.HasField("pending")
        return _part(message, pending=True) if has_any else None

    def emptied(self, value: bytes) -> bytes:
        """The stored value once the level above has got it all."""
        return _sealed(self._message(total=message_in(self._message, value).total))


STATISTICS = TargetForm(StatisticsTarget, merged_statistics)
EDGES = TargetForm(EdgesTarget, merged_edges)


def _sealed(message: StatisticsTarget | EdgesTarget) -> bytes:
    return seal(message.SerializeToString(deterministic=True))


def statistics_in(value: bytes, *, pending: bool) -> Statistics:
    """The pending part of a stored target, else its total."""
    message = message_in(StatisticsTarget, value)
    return statistics_from(_part(message, pending=pending))


def names_in(value: bytes, *, pending: bool) -> set[SeriesKey]:
    """The series of a stored target, of which nothing else is decoded."""
    part = _part(message_in(StatisticsTarget, value), pending=pending)
    return {(series.span_name, series.kind) for series in part.series}


def edges_in(value: bytes, *, pending: bool) -> EdgesMessage:
    """The pending part of a stored target, else its total; not decoded."""
    found: EdgesMessage = _part(message_in(EdgesTarget, value), pending=pending)
    return found


def call_counts_in(value: bytes, *, pending: bool) -> CallCounts:
    """The edges of a stored target without their durations."""
    part = _part(message_in(EdgesTarget, value), pending=pending)
    counts: CallCounts = {}
    for edge in part.edges:
        measure = edge.measure
        counts[edge.caller, edge.callee, edge.kind] = measure.calls, measure.errors
    return counts


def _part(message: Any, *, pending: bool) -> Any:
    return message.pending if pending and not message.all_pending else message.total


EDGES_NAME = ""
"""The catalogue's line for the shard's edges: no service has an empty name."""


_CATALOGUE_NAME_BYTES_MAX = 1_000_000
"""The bound for a day's names: three days' catalogues still fit one transaction, whatever names services have."""


class Line(NamedTuple):
    """What a day's catalogue says of one service, or of the edges."""

    hours: int = 0
    """Bit h: something in hour h."""
    hours_dirty: int = 0
    """Bit h: a minute of hour h has a pending part."""
    day_dirty: bool = False
    """An hour of this day has a pending part."""


Catalogue = dict[str, Line]


def above_services_cap(catalogue: Catalogue, names: Collection[str]) -> set[str]:
    """The services that are to be counted as OTHER_SERVICES: all but the SERVICES_MAX of the smallest hashes.

    A service that is among these of the whole day was so at every time before, whatever came first. So its figures are
    whole in any order; another's are in part its own, from before it was pushed out. The sum is always whole.
    """
    known = catalogue.keys() - {EDGES_NAME, OTHER_SERVICES}
    keys = [(name,) for name in known.union(names) - {OTHER_SERVICES}]
    above = {name for (name,) in above_cap(keys, config.SERVICES_MAX)}
    if above and sum(map(len, known)) >= _CATALOGUE_NAME_BYTES_MAX:
        above.update(set(names) - known)
    return above.intersection(names)


def catalogue_of(value: bytes) -> Catalogue:
    """The catalogue in a stored value; b"" is an empty one."""
    message = message_in(CatalogueMessage, value)
    return {
        line.name: Line(line.hours, line.hours_dirty, line.day_dirty) for line in message.services
    }


def catalogue_value(catalogue: Catalogue) -> bytes:
    lines = [
        CatalogueMessage.Service(
            name=name, hours=line.hours, hours_dirty=line.hours_dirty, day_dirty=line.day_dirty
        )
        for name, line in sorted(catalogue.items())
    ]
    return seal(CatalogueMessage(services=lines).SerializeToString(deterministic=True))


def target_puts(key: Key, old_version: int, value: bytes, expiry_unix_seconds: int) -> list[Put]:
    """The actions that replace a target, on condition that it still has `old_version`."""
    slices = [value[i : i + _PART_BYTES_MAX] for i in range(0, len(value), _PART_BYTES_MAX)]
    first: Item = {
        **item_key(*key),
        VALUE: slices[0],
        VERSION: old_version + 1,
        EXPIRY: expiry_unix_seconds,
    }
    if len(slices) > 1:
        first[PART_COUNT] = len(slices)
    parts = [
        Put(
            config.STATISTICS_TABLE,
            {
                **item_key(key.partition, _part_key(key.sort, i)),
                VALUE: part,
                EXPIRY: expiry_unix_seconds,
            },
        )
        for i, part in enumerate(slices[1:], 1)
    ]
    return [versioned_put(config.STATISTICS_TABLE, first, old_version), *parts]


def _part_key(sort: str, part: int) -> str:
    return f"{sort}|{part:02d}"


def _part_keys(first: Item) -> list[str]:
    """The sort keys of the items that follow a target's first; none as a rule."""
    return [_part_key(str(first[SORT_KEY]), i) for i in range(1, int(first.get(PART_COUNT, 1)))]


def read_targets(store: ItemStore, keys: Sequence[Key]) -> dict[Key, Versioned]:
    """Each of these (distinct) targets; NOT_THERE where there is none."""
    wanted = [item_key(*key) for key in keys]
    found = dict.fromkeys(keys, NOT_THERE)
    for item in store.get_batch(config.STATISTICS_TABLE, wanted):
        key = Key(str(item[PARTITION_KEY]), str(item[SORT_KEY]))
        found[key] = Versioned(_whole(item, _parts(store, key, item)), version_of(item))
    return found


def _parts(store: ItemStore, key: Key, first: Item) -> dict[str, bytes]:
    keys = [item_key(key.partition, sort) for sort in _part_keys(first)]
    items = store.get_batch(config.STATISTICS_TABLE, keys) if keys else []
    return {str(item[SORT_KEY]): value_of(item) for item in items}


def _whole(first: Item, parts: dict[str, bytes]) -> bytes:
    return value_of(first) + b"".join(parts.get(sort, b"") for sort in _part_keys(first))


def query_targets(
    store: ItemStore, partition: str, level: Level, first: int, last: int, now_unix_seconds: int
) -> Iterator[tuple[int, bytes]]:
    """(Number, value) of a partition's targets of a level, from `first` to `last`, ascending; not the expired."""
    low, high = level_sort_key(level, first), level_sort_key(level, last)
    for sort, value in _query_whole(store, partition, low, high, now_unix_seconds):
        yield int(sort.split("|")[1]), value


def query_catalogues(
    store: ItemStore, shard: int, first_day: int, last_day: int, now_unix_seconds: int
) -> Iterator[tuple[int, Catalogue]]:
    """(Day, catalogue) of a shard, from `first_day` to `last_day`, ascending; not the expired."""
    low, high = day_sort_key(first_day), day_sort_key(last_day)
    partition = catalogue_partition(shard)
    for sort, value in _query_whole(store, partition, low, high, now_unix_seconds):
        yield int(sort), catalogue_of(value)


def _query_whole(
    store: ItemStore, partition: str, low: str, high: str, now_unix_seconds: int
) -> Iterator[tuple[str, bytes]]:
    """(Sort key, value) of a partition's targets from `low` to `high`, ascending; not the expired."""
    head: Item | None = None
    parts: dict[str, bytes] = {}
    # A target's parts follow it: no more than one target is in memory at a time.
    for item in store.query(config.STATISTICS_TABLE, partition, low, _part_key(high, _PART_MAX)):
        if VERSION not in item:
            parts[str(item[SORT_KEY])] = value_of(item)
            continue
        if head:
            yield str(head[SORT_KEY]), _whole(head, parts)
        head = item if expiry_of(item) > now_unix_seconds else None
        parts = {}
    if head:
        yield str(head[SORT_KEY]), _whole(head, parts)
