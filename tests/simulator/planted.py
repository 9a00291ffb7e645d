"""Bugs that a run must find: those of the tests of faults, and others that need more than one fault's place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from chalicelib import config
from chalicelib.consume import commit, consumer, half_edges
from chalicelib.consume.segments import segments_of
from chalicelib.errors import StoreError
from chalicelib.model import join
from chalicelib.model.clew_pb2 import TraceFilter
from chalicelib.model.edges import EdgeKind
from chalicelib.model.halves import trace_ids_in
from chalicelib.model.parents import parents_of
from chalicelib.query import edges, statistics
from chalicelib.queue import sqs
from chalicelib.store import layout, shard
from chalicelib.store.dynamodb import (
    DynamoStore,
    _query_arguments,
    _translated,
    plain_item,
    typed_item,
)
from chalicelib.store.half_edge_cache import CachedHalves, HalfEdgeCache
from chalicelib.store.items import ConditionFailed
from chalicelib.store.targets import TargetForm
from chalicelib.summarise import fold, parents, roll_up, waiting
from tests.faults import planted as of_faults

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pytest


class Planted(NamedTuple):
    name: str
    plant: Callable[[pytest.MonkeyPatch], None]
    is_rare: bool = False
    """Found after hundreds of runs."""


def _redelivered_is_counted(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(consumer, "counted_among", lambda _, digests: set(digests))


def _remembered_as_counted(patch: pytest.MonkeyPatch) -> None:
    def uncounted(self: Any, received: Any) -> Any:
        remembered = self._store.__dict__.setdefault("remembered", set())
        new = [each for each in received if each.message.digest not in remembered]
        remembered.update(each.message.digest for each in new)
        return new

    patch.setattr(consumer.Consumer, "_uncounted", uncounted)


def _looked_up_rather_than_conditioned(patch: pytest.MonkeyPatch) -> None:
    def count(store: Any, messages: Any, _: Any, now: int, shards: int) -> Any:
        digests = {message.digest for message in messages}
        counted = commit.counted_among(store, digests)
        new = [message for message in messages if message.digest not in counted]
        if new:
            segments = segments_of(commit._batches_of(new), shards)
            actions = commit._actions([message.digest for message in new], segments, now)
            store.transact([put._replace(condition=None) for put in actions])
        return commit.Committed(len(new), 0, len(messages) - len(new))

    patch.setattr(commit, "_count", count)


def _out_of_time_is_success(patch: pytest.MonkeyPatch) -> None:
    consume_all = consumer.Consumer.consume

    def lenient(self: Any, records: Any) -> Any:
        try:
            return consume_all(self, records)
        except consumer.OutOfTime:
            return self._consumed

    patch.setattr(consumer.Consumer, "consume", lenient)


def _segments_named_by_time(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(layout, "segment_sort_key", lambda now, _: f"s|{now:020d}")


def _lost_answer_is_success(patch: pytest.MonkeyPatch) -> None:
    transact = DynamoStore.transact

    def hopeful(self: DynamoStore, actions: Any) -> None:
        try:
            transact(self, actions)
        except StoreError as error:
            if "cannot be reached" not in str(error):
                raise

    patch.setattr(DynamoStore, "transact", hopeful)


def _first_page_only(patch: pytest.MonkeyPatch) -> None:
    def query(
        self: Any,
        table: str,
        partition: Any,
        low: Any = None,
        high: Any = None,
        *,
        descending: bool = False,
        first_page_items: int | None = None,
    ) -> Iterator[Any]:
        arguments = _query_arguments(table, partition, low, high)
        page = _translated(
            self._client.query, **arguments, ConsistentRead=True, ScanIndexForward=not descending
        )
        yield from map(plain_item, page["Items"])

    patch.setattr(DynamoStore, "query", query)


def _unprocessed_keys_ignored(patch: pytest.MonkeyPatch) -> None:
    def get_batch(self: Any, table: str, keys: Any) -> list[Any]:
        wanted = [typed_item(key) for key in keys]
        if not wanted:
            return []
        answer = _translated(self._client.batch_get_item, RequestItems={table: {"Keys": wanted}})
        return list(map(plain_item, answer["Responses"][table]))

    patch.setattr(DynamoStore, "get_batch", get_batch)


def _readers_trust_the_first_look(patch: pytest.MonkeyPatch) -> None:
    def read_once(store: Any, shards: Any, read: Any) -> Any:
        return read({number: shard.read_shard(store, number) for number in shards}), True

    for module in (statistics, edges):
        patch.setattr(module, "read_consistently", read_once)


def _pairs_added_anew(patch: pytest.MonkeyPatch) -> None:
    """What a key's calls were before new halves came is not taken away."""

    patch.setattr(join, "_calls_before", lambda *_: [])


def _halves_not_kept(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(fold.ShardFold, "_waiting_items", lambda *_: [])


def _halves_let_go_when_checked(patch: pytest.MonkeyPatch) -> None:
    waiting_halves = HalfEdgeCache.waiting

    def of_the_last_step(self: Any, store: Any, number: int, state: Any, *wanted: Any) -> Any:
        found = waiting_halves(self, store, number, state, *wanted)
        return [kept for kept in found if kept.sequence == state.version]

    patch.setattr(HalfEdgeCache, "waiting", of_the_last_step)


def _halves_of_lost_folds_read(patch: pytest.MonkeyPatch) -> None:
    """A step's halves are put before its transaction, and whoever finds them believes them."""
    waiting_items = fold.ShardFold._waiting_items

    def put_first(self: Any, halves: Any, sequence: int) -> Any:
        items = waiting_items(self, halves, sequence)
        self._store.put_batch(config.STATISTICS_TABLE, items)
        return items

    def all_there_are(_: Any, store: Any, number: int, *__: Any) -> Any:
        for sequence, message in shard.read_halves(store, number, 0, 10**15):
            yield CachedHalves(sequence, 0, message, trace_ids_in(message))

    patch.setattr(fold.ShardFold, "_waiting_items", put_first)
    patch.setattr(HalfEdgeCache, "waiting", all_there_are)
    patch.setattr(config, "PENDING_WINDOW_SECONDS", 10**10)


def _first_look_remembered(patch: pytest.MonkeyPatch) -> None:
    """What waits is read once for a function's life, as if nobody ever added to it."""
    waiting_halves = HalfEdgeCache.waiting

    def at_first(self: Any, store: Any, number: int, state: Any, *wanted: Any) -> Any:
        looks = self.__dict__.setdefault("looks", {})
        if number not in looks:
            looks[number] = list(waiting_halves(self, store, number, state, *wanted))
        return looks[number]

    patch.setattr(HalfEdgeCache, "waiting", at_first)


def _filters_lack_traces(patch: pytest.MonkeyPatch) -> None:
    """What a step's filter says is true of no trace."""
    patch.setattr(fold, "trace_filter", lambda _: TraceFilter())


def _all_segments_deleted(patch: pytest.MonkeyPatch) -> None:
    def delete(self: Any, _: Any) -> None:
        partition = layout.fold_partition(self._shard)
        items = [
            item
            for item in self._store.query(config.STATISTICS_TABLE, partition)
            if item["s"] != layout.FOLD_STATE_KEY
        ]
        keys = [{"p": partition, "s": item["s"]} for item in items]
        self._store.delete_batch(config.STATISTICS_TABLE, keys)

    patch.setattr(fold.ShardFold, "_delete_folded", delete)


def _half_folded_is_deleted(patch: pytest.MonkeyPatch) -> None:
    def delete(self: Any, view: Any) -> None:
        keys: Any = [
            {"p": layout.fold_partition(self._shard), "s": segment.sort}
            for segment in view.segments
            if not segment.entries or segment.folded_count
        ]
        self._store.delete_batch(config.STATISTICS_TABLE, keys)

    step = fold.ShardFold.step

    def eager(self: Any, view: Any) -> bool:
        self._delete_folded(view)
        return step(self, view)

    patch.setattr(fold.ShardFold, "_delete_folded", delete)
    patch.setattr(fold.ShardFold, "step", eager)


def _forgotten_beyond_the_view(patch: pytest.MonkeyPatch) -> None:
    after = fold.ShardFold._state_after

    def of_the_view(self: Any, view: Any, planned: Any, **has: bool) -> Any:
        return after(self, view._replace(is_whole=True), planned, **has)

    patch.setattr(fold.ShardFold, "_state_after", of_the_view)


def _spilled_is_lost(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(fold.ShardFold, "_spilled_items", lambda *_: [])


def _moved_and_kept(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(TargetForm, "emptied", lambda _, value: value)


def _late_hours_not_marked(patch: pytest.MonkeyPatch) -> None:
    with_dirty_hours = fold.with_dirty_hours

    def once(before: Any, day: int, hours: Any) -> Any:
        new = [(name, hour) for name, hour in hours if name not in before]
        return with_dirty_hours(before, day, new)

    patch.setattr(fold, "with_dirty_hours", once)


def _days_forgotten(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        roll_up,
        "_clean",
        lambda line, move: (
            line._replace(hours_dirty=0)
            if move.upper is layout.Level.HOUR
            else line._replace(day_dirty=False)
        ),
    )


def _lost_race_is_done(patch: pytest.MonkeyPatch) -> None:
    transact = DynamoStore.transact

    def careless(self: DynamoStore, actions: Any) -> None:
        try:
            transact(self, actions)
        except ConditionFailed:
            if any(put.item["s"] == "m" for put in actions):
                raise
            partition = actions[-1].item["p"]
            self.delete_batch(
                config.STATISTICS_TABLE,
                [
                    {"p": partition, "s": item["s"]}
                    for item in self.query(config.STATISTICS_TABLE, partition)
                    if item["s"] != layout.FOLD_STATE_KEY
                ],
            )

    patch.setattr(DynamoStore, "transact", careless)


def _buried_and_acknowledged_half(patch: pytest.MonkeyPatch) -> None:
    """The first letter that cannot be buried ends the event as if all were done."""
    bury = sqs.SqsDeadLetters.bury

    def lenient(self: Any, *arguments: Any) -> None:
        try:
            bury(self, *arguments)
        except StoreError:
            return

    patch.setattr(sqs.SqsDeadLetters, "bury", lenient)


def _checked_twice(patch: pytest.MonkeyPatch) -> None:
    """A check of waiting halves does not ask whether another came first."""

    def unconditional(self: Any, before: Any, after: Any, puts: Any) -> bool:
        put = shard.fold_state_put(self._shard, before.version, after)
        self._store.transact([*puts, put._replace(condition=None, values=None)])
        return True

    patch.setattr(waiting.WaitingHalves, "_transact", unconditional)


def _found_parents_are_clients(patch: pytest.MonkeyPatch) -> None:
    """A parent that is looked for is taken twice: as it is, and as a caller that stands for a call of its own."""

    def twice(callee: Any, stored: Any) -> Any:
        found = parents_of(callee, stored)
        return [*found, *(each._replace(kind=EdgeKind.EXTERNAL, peer="twice") for each in found)]

    patch.setattr(parents, "parents_of", twice)


def _cursor_forgotten(patch: pytest.MonkeyPatch) -> None:
    """A look that has more traces than it may look up in a step takes the rest for done."""
    look = parents.Looks.look

    def hasty(self: Any, state: Any, waiting_halves: Any, *new: Any) -> Any:
        looked = look(self, state, waiting_halves, *new)
        items = parents.looks_due(state, self._now)[:1]
        return looked._replace(sequence=items[0].sequence, trace_id=b"") if items else looked

    patch.setattr(parents.Looks, "look", hasty)


def _looked_at_before_it_is_folded(patch: pytest.MonkeyPatch) -> None:
    """A fold takes the halves that it keeps for looked at."""

    def note_in(_: Any, state: Any) -> None:
        state.looked_sequence, state.looked_trace_id = state.version, b""

    patch.setattr(parents.Looked, "note_in", note_in)


def _shared_with_its_own_service(patch: pytest.MonkeyPatch) -> None:
    def key_shared_by(_: Any, callee: Any, __: int, owners: Any, ___: int) -> Any:
        return next(iter(owners.get((callee.trace_id, callee.own), ())), None)

    patch.setattr(join.KnownHalves, "key_shared_by", key_shared_by)


def _shared_ids_not_seen(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(join, "sharing_traces", lambda *_: set())


def _local_flags_ignored(patch: pytest.MonkeyPatch) -> None:
    """Spans of which the flags say that their parent is local make children."""
    patch.setattr(half_edges, "_local_flags", lambda _: set())


def _long_spans_are_no_parents(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(half_edges, "_LONG_NANO", 10**18)


PLANTED = [
    *(Planted(each.name, each.plant) for each in of_faults.PLANTED),
    Planted("delivered again is counted", _redelivered_is_counted),
    Planted("remembered before it is counted", _remembered_as_counted),
    Planted("looked up rather than conditioned", _looked_up_rather_than_conditioned),
    Planted("out of time is success", _out_of_time_is_success),
    Planted("a lost answer is success", _lost_answer_is_success),
    Planted("segments named by time alone", _segments_named_by_time),
    Planted("the first page is all", _first_page_only),
    Planted("UnprocessedKeys ignored", _unprocessed_keys_ignored),
    Planted("readers trust the first look", _readers_trust_the_first_look),
    Planted("pairs added anew", _pairs_added_anew),
    Planted("halves not kept", _halves_not_kept),
    Planted("halves kept for one fold", _halves_let_go_when_checked),
    Planted("halves of lost folds are read", _halves_of_lost_folds_read),
    Planted("halves remembered from the first look", _first_look_remembered),
    Planted("filters lack traces", _filters_lack_traces),
    Planted("every segment is deleted", _all_segments_deleted),
    Planted("half folded is deleted", _half_folded_is_deleted),
    Planted("progress beyond the view forgotten", _forgotten_beyond_the_view),
    Planted("spilled edges lost", _spilled_is_lost),
    Planted("moved up and kept", _moved_and_kept),
    Planted("late hours are not marked", _late_hours_not_marked),
    Planted("days are never rolled up", _days_forgotten),
    Planted("a lost race is done", _lost_race_is_done),
    Planted("found parents are clients too", _found_parents_are_clients),
    Planted("looked at before it is folded", _looked_at_before_it_is_folded),
    Planted("an id shared with its own service", _shared_with_its_own_service),
    Planted("shared ids are not seen", _shared_ids_not_seen),
    Planted("local flags ignored", _local_flags_ignored),
    Planted("long spans are no parents", _long_spans_are_no_parents),
    Planted("a letter lost is buried", _buried_and_acknowledged_half, is_rare=True),
    Planted("waiting halves checked twice", _checked_twice, is_rare=True),
    Planted("the look forgets its cursor", _cursor_forgotten, is_rare=True),
]
