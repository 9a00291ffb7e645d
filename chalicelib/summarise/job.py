"""The scheduled job: fold, then halves whose window ends, then roll-up, shard by shard, while there is time.

Every step is one transaction, so the job may end, or be ended, after any of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from chalicelib.gc_pause import gc_paused
from chalicelib.store.half_edge_cache import HalfEdgeCache
from chalicelib.store.shard import Bound, read_shard
from chalicelib.summarise.fold import ShardFold
from chalicelib.summarise.parents import Looks
from chalicelib.summarise.roll_up import RollUp
from chalicelib.summarise.waiting import WaitingHalves

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from chalicelib.store.items import ItemStore
    from chalicelib.store.shard import ShardView

STEPS_MAX = 1_000
"""The most steps for one shard and run: far more than a minute brings."""


BACKLOG_MAX = Bound(segments=400, stored_bytes=2_000_000)
"""Looked at in one step, and so named in the fold-state: bounds both, however long nothing was folded. Two megabytes
are the spans of 35 full groups, and a few seconds; with much more, a step would not end in the function's time."""


class Worker(Protocol):
    def step(self, view: ShardView) -> bool:
        """Do one bounded piece of work; return whether the shard has changed, so that there may be more."""


def in_turn(shards: int, now_unix_seconds: int) -> list[int]:
    """Every shard, each minute with another one first.

    A run that its time ends before it has seen them all so leaves others behind than the run before; and runs that are
    under way at once, because each takes longer than a minute, are busy with different ones.
    """
    first = now_unix_seconds // 60 % shards
    return [*range(first, shards), *range(first)]


def summarise_shards(
    store: ItemStore,
    shards: Iterable[int],
    now_unix_seconds: int,
    time_left: Callable[[], bool] = lambda: True,
    remembered: HalfEdgeCache | None = None,
) -> int:
    """Bring statistics and edges up to date; return how many steps that took.

    `remembered` is this function's memory of the store, from its runs before.

    Where nothing has arrived and nothing is due, that is one query a shard. Raises StoreThrottled or StoreError; what
    is done by then stays done, and the next run goes on.
    """
    if remembered is None:
        remembered = HalfEdgeCache()
    return sum(
        _summarise(store, shard, now_unix_seconds, time_left, remembered) for shard in shards
    )


def _summarise(
    store: ItemStore,
    shard: int,
    now_unix_seconds: int,
    time_left: Callable[[], bool],
    remembered: HalfEdgeCache,
) -> int:
    looks = Looks(store, now_unix_seconds)
    workers: tuple[Worker, ...] = (
        ShardFold(store, shard, now_unix_seconds, remembered, looks),
        WaitingHalves(store, shard, now_unix_seconds, remembered, looks),
        RollUp(store, shard, now_unix_seconds),
    )
    for steps in range(STEPS_MAX):
        view = read_shard(store, shard, BACKLOG_MAX) if time_left() else None
        with gc_paused():
            if view is None or not any(worker.step(view) for worker in workers):
                return steps
    return STEPS_MAX
