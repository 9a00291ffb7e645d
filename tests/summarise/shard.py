"""Commits spans as the consumer does, summarises, and reads the targets back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from chalicelib.consume.commit import commit
from chalicelib.model.edges import edges_from
from chalicelib.store import layout
from chalicelib.store.layout import Key, Level
from chalicelib.store.targets import (
    Catalogue,
    catalogue_of,
    edges_in,
    query_targets,
    read_targets,
    statistics_in,
)
from chalicelib.summarise.job import summarise_shards
from tests.commits import pending_message
from tests.memory_store import MemoryStore
from tests.payloads import NOON_UNIX_SECONDS, payload

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chalicelib.model.edges import Edges
    from chalicelib.model.statistics import Statistics
    from chalicelib.store.items import Item
    from tests.payloads import Made

NOON_MINUTE = NOON_UNIX_SECONDS // 60
NOON_HOUR = NOON_UNIX_SECONDS // 3_600
NOON_DAY = NOON_UNIX_SECONDS // 86_400


Part = TypeVar("Part")


class Target(NamedTuple, Generic[Part]):
    total: Part
    pending: Part


class Shard(MemoryStore):
    """A store of one shard, with what tests do to it. A delete of nothing is no call."""

    def __init__(self) -> None:
        super().__init__()
        self._commits = 0

    def delete_batch(self, table: str, keys: Sequence[Item]) -> None:
        if keys:
            super().delete_batch(table, keys)

    def commit(self, *made: Made, at: int = NOON_UNIX_SECONDS) -> None:
        self._commits += 1
        content = payload(made)
        message = pending_message(content)
        commit(self, [message], at * 10**9 + self._commits, 1)

    def summarise(self, now: int = NOON_UNIX_SECONDS) -> int:
        return summarise_shards(self, [0], now)

    def statistics(
        self, service: str = "shop", level: Level = Level.MINUTE
    ) -> dict[int, Target[Statistics]]:
        found = query_targets(self, layout.statistics_partition(service), level, 0, 10**11, 0)
        return {
            number: Target(statistics_in(value, pending=False), statistics_in(value, pending=True))
            for number, value in found
        }

    def edges(self, level: Level = Level.MINUTE) -> dict[int, Target[Edges]]:
        found = query_targets(self, layout.edges_partition(0), level, 0, 10**11, 0)
        return {
            number: Target(
                edges_from(edges_in(value, pending=False)),
                edges_from(edges_in(value, pending=True)),
            )
            for number, value in found
        }

    def calls_by_edge(self, level: Level = Level.MINUTE) -> dict[tuple[str, str, int], int]:
        """Calls of every edge that has any, over all minutes, hours or days."""
        calls: dict[tuple[str, str, int], int] = {}
        for target in self.edges(level).values():
            for key, edge in target.total.edges.items():
                calls[key] = calls.get(key, 0) + edge.measure.calls
        return {key: count for key, count in calls.items() if count}

    def catalogue(self, day: int = NOON_DAY) -> Catalogue:
        key = Key(layout.catalogue_partition(0), layout.day_sort_key(day))
        return catalogue_of(read_targets(self, [key])[key].value)

    def sorts_in(self, partition: str) -> list[str]:
        return sorted(str(sort) for _, p, sort in self.items if p == partition)

    @property
    def segments(self) -> list[str]:
        return [s for s in self.sorts_in(layout.fold_partition(0)) if s != layout.FOLD_STATE_KEY]

    @property
    def waiting(self) -> list[str]:
        return self.sorts_in(layout.halves_partition(0))


def calls(targets: dict[int, Target[Statistics]]) -> dict[int, int]:
    """Number → calls of entry spans in total."""
    return {number: target.total.entry.calls for number, target in targets.items()}
