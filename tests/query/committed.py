"""Brings spans into any store step by step: commits, folds and roll-ups, each alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.consume.commit import commit
from chalicelib.query.parameters import Range
from chalicelib.store.shard import read_shard
from chalicelib.summarise.fold import ShardFold
from chalicelib.summarise.roll_up import RollUp
from tests.commits import pending_message
from tests.payloads import NOON_UNIX_SECONDS, payload

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chalicelib.store.items import ItemStore
    from tests.payloads import Made

SECOND = 10**9
MINUTE, HOUR, DAY = 60, 3_600, 86_400


def put(
    store: ItemStore,
    spans: Sequence[Made],
    now: int = NOON_UNIX_SECONDS,
    shards: int = 1,
) -> None:
    """Commit spans as one message that arrives at `now`."""
    put_payload(store, payload(spans), now, shards)


def put_payload(
    store: ItemStore, content: bytes, now: int = NOON_UNIX_SECONDS, shards: int = 1
) -> None:
    """Commit TracesData bytes as one message that arrives at `now`."""
    message = pending_message(content, now)
    commit(store, [message], now * SECOND, shards)


def fold(store: ItemStore, now: int = NOON_UNIX_SECONDS, shards: int = 1) -> None:
    for shard in range(shards):
        while ShardFold(store, shard, now).step(read_shard(store, shard)):
            pass


def roll_up(store: ItemStore, now: int, shards: int = 1, steps: int = 1_000) -> None:
    for shard in range(shards):
        for _ in range(steps):
            if not RollUp(store, shard, now).step(read_shard(store, shard)):
                break


def seconds_range(start: int, end: int) -> Range:
    return Range(start * SECOND, end * SECOND)
