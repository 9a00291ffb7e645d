"""Fills a store with ten million spans in little time: the items of one stretch of time are copied to others.

    dense:  a minute at the full rate, copied to the minutes before it      all in the hour that is asked for
    spread: an hour of a hundredth of them, copied to the hours before it   all but a hundredth elsewhere

The last seconds are real. A copy has its own traces: new ids in keys and blocks, and other times in blocks, targets and
half-edges. The content of chunks, half-edges and filters is the original's, for no question and no fold looks for those
traces: both look at newer ones.
"""

from __future__ import annotations

import random
from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from bench.answers import BEGIN_UNIX_SECONDS, NOW_UNIX_SECONDS, Stored, rows_of
from chalicelib import config
from chalicelib.model.clew_pb2 import SearchBlock
from chalicelib.model.frame import message_in, seal
from chalicelib.model.units import HOUR_NANO
from chalicelib.store import layout
from chalicelib.store.layout import HOURS_PER_DAY, Level
from chalicelib.store.search_block import VERSION
from chalicelib.store.shard import fold_state_put, read_shard
from chalicelib.store.targets import Line, catalogue_of, catalogue_value, read_targets, target_puts

if TYPE_CHECKING:
    from chalicelib.store.items import Item

SPANS = 10_000_000
HOURS = 100
_SECOND_NANO = 10**9
_MINUTE_SECONDS, _HOUR_SECONDS = 60, 3_600
_BATCH_ITEMS = 1_000
RUNS = 3
"""Timed runs of each question; filling already takes most of the time."""
_MINUTES_COPIED = 57
_STEPS_PER_MINUTE = 100
"""An upper bound of the fold's steps in a minute."""


class Original(NamedTuple):
    """The items that a stretch of time has stored."""

    blocks: list[Item]
    chunks: dict[bytes, list[Item]]
    targets: list[Item]
    halves: dict[int, list[Item]]
    """Half-edges and their filter, by the sequence of the fold's step that wrote them."""


def dense(spans: int = SPANS) -> Stored:
    """Return an hour of so many spans: its end is filled, and one minute of that is copied to all minutes before."""
    begin = BEGIN_UNIX_SECONDS + _MINUTES_COPIED * _MINUTE_SECONDS
    stored = Stored(spans, _MINUTES_COPIED * _MINUTE_SECONDS, _MINUTE_SECONDS)
    copies = _Copies(stored)
    original = _original(stored, begin, begin + _MINUTE_SECONDS, {min(copies.folded.values())})
    for before in range(1, _MINUTES_COPIED + 1):
        copies.add(original, before * _MINUTE_SECONDS)
    copies.end()
    return stored


def spread(spans: int = SPANS, hours: int = HOURS) -> Stored:
    """Return a store with so many spans in so many hours; questions ask for the last hour."""
    stored = Stored(spans // hours)
    copies = _Copies(stored)
    all_folds = set(copies.folded.values())
    original = _original(stored, BEGIN_UNIX_SECONDS, NOW_UNIX_SECONDS, all_folds)
    for before in range(1, hours):
        # Half-edges of older hours do not wait any more.
        waiting = original.halves if before == 1 else {}
        copies.add(original._replace(halves=waiting), before * _HOUR_SECONDS)
    copies.end()
    _catalogue(stored, hours)
    return stored


def _original(stored: Stored, begin: int, end: int, folds: set[int]) -> Original:
    """Return the items from `begin` to `end` (Unix seconds), and the half-edges that were folded at these times."""
    found = Original(blocks=[], chunks=defaultdict(list), targets=[], halves=defaultdict(list))
    chunks: dict[bytes, list[Item]] = defaultdict(list)
    folded = {each.sequence: each.folded_unix_seconds for each in _state(stored).pending}
    of_steps = (layout.halves_partition(0), layout.filters_partition(0))
    for table, item in stored.store.items():
        partition, sort = item["p"], item["s"]
        if table == config.INDEX_TABLE:
            assert isinstance(sort, bytes)
            if begin <= int.from_bytes(sort[:8], "big") // _SECOND_NANO < end:
                found.blocks.append(item)
        elif isinstance(partition, bytes):
            chunks[partition].append(item)
        elif str(sort).startswith(f"{Level.MINUTE.value}|"):
            if begin <= _minute(item) * _MINUTE_SECONDS < end:
                found.targets.append(item)
        elif partition in of_steps:
            sequence = layout.sequence_in(sort)
            if folded[sequence] in folds:
                found.halves[sequence].append(item)
    for block in found.blocks:
        for trace_id in _trace_ids(_rows(block)):
            found.chunks[trace_id] = chunks[trace_id]
    return found


def _minute(target: Item) -> int:
    return int(str(target["s"]).split("|")[1])


def _state(stored: Stored) -> Any:
    return read_shard(stored.store, 0).state


def _rows(block: Item) -> SearchBlock:
    value = block["v"]
    assert isinstance(value, bytes)
    return message_in(SearchBlock, value, VERSION)


def _trace_ids(rows: SearchBlock) -> list[bytes]:
    return [rows.trace_ids[i : i + 16] for i in range(0, len(rows.trace_ids), 16)]


class _Copies:
    """Copies stretches of time, and collects the changes of the fold-state."""

    def __init__(self, stored: Stored) -> None:
        self._store = stored.store
        self._rng = random.Random(19)
        self._state = _state(stored)
        self.folded = {each.sequence: each.folded_unix_seconds for each in self._state.pending}
        """Sequence of a step whose half-edges wait → its time in Unix seconds."""
        self._filtered = {each.sequence for each in self._state.pending if each.has_filter}

    def add(self, original: Original, seconds_before: int) -> None:
        new_ids = {trace_id: self._rng.randbytes(16) for trace_id in original.chunks}
        chunks = [
            {**chunk, "p": new_ids[trace_id]}
            for trace_id, of_trace in original.chunks.items()
            for chunk in of_trace
        ]
        blocks = [self._block(block, new_ids, seconds_before) for block in original.blocks]
        self._put(config.SPANS_TABLE, chunks)
        self._put(config.INDEX_TABLE, blocks)
        minutes = seconds_before // _MINUTE_SECONDS
        targets = [
            {**each, "s": layout.level_sort_key(Level.MINUTE, _minute(each) - minutes)}
            for each in original.targets
        ]
        self._put(config.STATISTICS_TABLE, targets)
        for sequence, items in original.halves.items():
            number = sequence - _STEPS_PER_MINUTE * minutes
            # In the sort key of half-edges the number of their part follows.
            key = layout.filter_sort_key(number)
            of_step = [{**each, "s": key + str(each["s"])[len(key) :]} for each in items]
            self._put(config.STATISTICS_TABLE, of_step)
            self.folded[number] = self.folded[sequence] - seconds_before
            if sequence in self._filtered:
                self._filtered.add(number)

    def _block(self, block: Item, new_ids: dict[bytes, bytes], seconds_before: int) -> Item:
        sort, rows = block["s"], _rows(block)
        assert isinstance(sort, bytes)
        nano = seconds_before * _SECOND_NANO
        rows.trace_ids = b"".join(map(new_ids.__getitem__, _trace_ids(rows)))
        rows.first_start_time_unix_nano[:] = [
            start - nano for start in rows.first_start_time_unix_nano
        ]
        latest = int.from_bytes(sort[:8], "big") - nano
        service = str(block["p"]).split("|", 2)[2]
        return {
            **block,
            "p": layout.index_partition(latest // HOUR_NANO, service),
            "s": latest.to_bytes(8, "big") + self._rng.randbytes(8),
            "v": seal(rows.SerializeToString(deterministic=True), VERSION),
        }

    def _put(self, table: str, items: list[Item]) -> None:
        for start in range(0, len(items), _BATCH_ITEMS):
            self._store.put_batch(table, items[start : start + _BATCH_ITEMS])

    def end(self) -> None:
        """Write the fold-state with all half-edges that wait."""
        version = self._state.version
        self._state.version += 1
        del self._state.pending[:]
        for sequence, folded in sorted(self.folded.items()):
            self._state.pending.add(
                sequence=sequence,
                folded_unix_seconds=folded,
                has_filter=sequence in self._filtered,
            )
        self._store.transact([fold_state_put(0, version, self._state)])
        self._store.forget_counts()


def _catalogue(stored: Stored, hours: int) -> None:
    """Write catalogues in which each service is present in each of the hours; the hours before are rolled up."""
    last = BEGIN_UNIX_SECONDS // _HOUR_SECONDS
    partition = layout.catalogue_partition(0)
    today = layout.Key(partition, layout.day_sort_key(last // HOURS_PER_DAY))
    before = read_targets(stored.store, [today])[today]
    lines = catalogue_of(before.value)
    for day in range((last - hours + 1) // HOURS_PER_DAY, last // HOURS_PER_DAY + 1):
        there = sum(
            1 << hour % HOURS_PER_DAY
            for hour in range(last - hours + 1, last + 1)
            if hour // HOURS_PER_DAY == day
        )
        key = layout.Key(partition, layout.day_sort_key(day))
        version = before.version if key == today else 0
        written = {
            name: Line(there, line.hours_dirty if key == today else 0, day_dirty=True)
            for name, line in lines.items()
        }
        expiry = NOW_UNIX_SECONDS + config.DAY_RETENTION_SECONDS
        stored.store.transact(target_puts(key, version, catalogue_value(written), expiry))
    stored.store.forget_counts()


def measure(runs: int = RUNS, spans: int = SPANS) -> list[dict[str, Any]]:
    """Return the rows of the dense store and of the spread one."""
    return [
        *rows_of(partial(spread, spans), spans, runs, HOURS),
        *rows_of(partial(dense, spans), spans, runs),
    ]
