"""Bugs, each a few patched lines of the product: the tests of faults must find every one of them."""

from __future__ import annotations

from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple

from chalicelib import config
from chalicelib.consume import commit, consumer
from chalicelib.consume.segments import segments_of
from chalicelib.errors import StoreError
from chalicelib.model import zstd
from chalicelib.queue import message as message_module
from chalicelib.queue.sqs import SqsDeadLetters, SqsSender, batches_of, entry_of
from chalicelib.store import layout
from chalicelib.store.dynamodb import DynamoStore, _translated
from chalicelib.store.items import ConditionFailed
from chalicelib.store.shard import fold_state_put
from chalicelib.summarise import fold, waiting

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest


ANOTHER = "another consumer, or another fold, at the same time"


class Planted(NamedTuple):
    name: str
    plant: Callable[[pytest.MonkeyPatch], None]
    kinds: tuple[str, ...]
    """Of the invocations in which it bites."""
    fault: str
    """The name of one by which it is found."""


def _no_condition(patch: pytest.MonkeyPatch) -> None:
    actions = commit._actions
    patch.setattr(
        commit,
        "_actions",
        lambda *arguments: [put._replace(condition=None) for put in actions(*arguments)],
    )


def _a_duplicate_drops_its_group(patch: pytest.MonkeyPatch) -> None:
    def count(store: Any, messages: Any, batches: Any, now: int, shards: int) -> commit.Committed:
        digests = [message.digest for message in messages]
        try:
            store.transact(commit._actions(digests, segments_of(batches, shards), now))
        except ConditionFailed:
            return commit.Committed(0, 0, len(messages))
        return commit.Committed(len(messages), 0, 0)

    patch.setattr(commit, "_count", count)


def _segments_of_duplicates_kept(patch: pytest.MonkeyPatch) -> None:
    def count(store: Any, messages: Any, batches: Any, now: int, shards: int) -> commit.Committed:
        digests = [message.digest for message in messages]
        while digests:
            actions = commit._actions(digests, segments_of(batches, shards), now)
            try:
                store.transact(actions)
            except ConditionFailed as failed:
                digests = [d for i, d in enumerate(digests) if i not in failed.indices]
            else:
                break
        return commit.Committed(len(digests), 0, len(messages) - len(digests))

    patch.setattr(commit, "_count", count)


def _a_conflict_is_a_duplicate(patch: pytest.MonkeyPatch) -> None:
    transact = DynamoStore.transact

    def lenient(self: DynamoStore, actions: Any) -> None:
        try:
            transact(self, actions)
        except StoreError as error:
            raise ConditionFailed(range(len(actions))) from error

    patch.setattr(DynamoStore, "transact", lenient)


def _counted_before_stored(patch: pytest.MonkeyPatch) -> None:
    put_batch, count = DynamoStore.put_batch, commit._count
    waiting: list[Any] = []

    def later(self: DynamoStore, table: str, items: Any) -> None:
        waiting.append((self, table, items))

    def count_first(*arguments: Any) -> commit.Committed:
        counted = count(*arguments)
        while waiting:
            put_batch(*waiting.pop(0))
        return counted

    patch.setattr(DynamoStore, "put_batch", later)
    patch.setattr(commit, "_count", count_first)


def _segments_deleted_first(patch: pytest.MonkeyPatch) -> None:
    actions = fold.ShardFold._actions

    def delete_first(self: fold.ShardFold, view: Any, planned: Any) -> Any:
        partition = layout.fold_partition(self._shard)
        keys: Any = [{"p": partition, "s": segment.sort} for segment in view.segments]
        self._store.delete_batch(config.STATISTICS_TABLE, keys)
        return actions(self, view, planned)

    patch.setattr(fold.ShardFold, "_actions", delete_first)


def _targets_and_state_apart(patch: pytest.MonkeyPatch) -> None:
    transact = DynamoStore.transact

    def in_two(self: DynamoStore, actions: Any) -> None:
        state = [put for put in actions if put.item["s"] == "!"]
        for part in ([put for put in actions if put not in state], state):
            if part:
                transact(self, part)

    patch.setattr(DynamoStore, "transact", in_two)


def _state_without_its_version(patch: pytest.MonkeyPatch) -> None:
    transact = DynamoStore.transact

    def unconditional(self: DynamoStore, actions: Any) -> None:
        marks = [put for put in actions if str(put.item["p"]).startswith("m|")]
        transact(
            self,
            actions if marks else [put._replace(condition=None, values=None) for put in actions],
        )

    patch.setattr(DynamoStore, "transact", unconditional)


def _progress_forgotten(patch: pytest.MonkeyPatch) -> None:
    after = fold.ShardFold._state_after

    def forgetful(*arguments: Any, **named: Any) -> Any:
        state = after(*arguments, **named)
        del state.progress[:]
        return state

    def step_and_delete(self: fold.ShardFold, view: Any) -> bool:
        more: bool = step(self, view)
        keys: Any = [
            {"p": layout.fold_partition(self._shard), "s": segment.sort}
            for segment in view.segments
        ]
        self._store.delete_batch(config.STATISTICS_TABLE, keys)
        return more

    step = fold.ShardFold.step
    patch.setattr(fold.ShardFold, "_state_after", forgetful)
    patch.setattr(fold.ShardFold, "step", step_and_delete)


def _look_noted_first(patch: pytest.MonkeyPatch) -> None:
    def in_two(self: Any, before: Any, after: Any, puts: Any) -> bool:
        self._store.transact([fold_state_put(self._shard, before.version, after)])
        if puts:
            self._store.transact(puts)
        return True

    patch.setattr(waiting.WaitingHalves, "_transact", in_two)


def _rolled_up_in_two_transactions(patch: pytest.MonkeyPatch) -> None:
    transact = DynamoStore.transact

    def upper_first(self: DynamoStore, actions: Any) -> None:
        lower = [put for put in actions if str(put.item["s"]).startswith("m|")]
        upper = [put for put in actions if put not in lower]
        if lower and any(str(put.item["s"]).startswith("h|") for put in upper):
            transact(self, [put for put in upper if put.item["s"] != "!"])
            transact(self, [put for put in actions if put in lower or put.item["s"] == "!"])
        else:
            transact(self, actions)

    patch.setattr(DynamoStore, "transact", upper_first)


def _acknowledged_regardless(patch: pytest.MonkeyPatch) -> None:
    send = SqsSender.send

    def careless(self: SqsSender, messages: Any) -> None:
        with suppress(StoreError):
            send(self, messages)

    patch.setattr(SqsSender, "send", careless)


def _failed_entries_ignored(patch: pytest.MonkeyPatch) -> None:
    def send(self: SqsSender, messages: Any) -> None:
        for batch in batches_of([entry_of(message) for message in messages]):
            self._client.send_message_batch(QueueUrl=self._queue_url, Entries=batch)

    patch.setattr(SqsSender, "send", send)


def _time_in_the_digest(patch: pytest.MonkeyPatch) -> None:
    digest_of = message_module.digest_of
    made: dict[bytes, bytes] = {}
    moments = count()

    def of_now(tenant: str, payload: bytes) -> bytes:
        # What reads a message again makes the same; what makes it anew does not.
        digest = digest_of(tenant, payload + b"%d" % next(moments))
        return made.setdefault(payload, digest)

    from_payload = message_module.message_from_payload

    def anew(tenant: str, payload: bytes, *more: Any) -> Any:
        made.pop(payload, None)
        return from_payload(tenant, payload, *more)

    patch.setattr(message_module, "digest_of", of_now)
    patch.setattr("chalicelib.receive.split.message_from_payload", anew)
    patch.setattr(
        consumer, "payload_of", lambda _, message, most: zstd.decompress(message.frame, most)
    )


def _unprocessed_ignored(patch: pytest.MonkeyPatch) -> None:
    def write(self: DynamoStore, table: str, requests: Any) -> None:
        _translated(self._client.batch_write_item, RequestItems={table: requests})

    patch.setattr(DynamoStore, "_write", write)


def _faults_of_aws_swallowed(patch: pytest.MonkeyPatch) -> None:
    consume_all = consumer.Consumer.consume

    def swallowing(self: Any, records: Any) -> Any:
        try:
            return consume_all(self, records)
        except StoreError:
            return consumer.Consumed()

    patch.setattr(consumer.Consumer, "consume", swallowing)


def _every_fault_is_the_messages(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(consumer, "StoreError", ZeroDivisionError)


def _lost_burials_ignored(patch: pytest.MonkeyPatch) -> None:
    _every_fault_is_the_messages(patch)
    patch.setattr(SqsDeadLetters, "bury", lambda *_: None)


CONSUME, SUMMARISE, SEND = ("consume",), ("summarise",), ("send",)
CONFLICTS = "cancelled: TransactionConflict for long"
PLANTED = [
    Planted("markers without a condition", _no_condition, CONSUME, ANOTHER),
    Planted("a duplicate drops its group", _a_duplicate_drops_its_group, CONSUME, ANOTHER),
    Planted("segments of duplicates are kept", _segments_of_duplicates_kept, CONSUME, ANOTHER),
    Planted("a conflict is a duplicate", _a_conflict_is_a_duplicate, CONSUME, CONFLICTS),
    Planted("counted before it is stored", _counted_before_stored, CONSUME, "dies after"),
    Planted("UnprocessedItems ignored", _unprocessed_ignored, CONSUME, "half unprocessed"),
    Planted("faults of AWS swallowed", _faults_of_aws_swallowed, CONSUME, "unreachable"),
    Planted("every fault is the message's", _every_fault_is_the_messages, CONSUME, CONFLICTS),
    Planted("burials that never arrive", _lost_burials_ignored, CONSUME, CONFLICTS),
    Planted("segments deleted first", _segments_deleted_first, SUMMARISE, "dies before"),
    Planted("targets and fold-state apart", _targets_and_state_apart, SUMMARISE, "dies after"),
    Planted("fold-state unconditional", _state_without_its_version, SUMMARISE, ANOTHER),
    Planted("progress forgotten", _progress_forgotten, SUMMARISE, "dies after"),
    Planted("a look noted first", _look_noted_first, SUMMARISE, "dies after"),
    Planted("rolled up in two", _rolled_up_in_two_transactions, SUMMARISE, "dies after"),
    Planted("acknowledged though not queued", _acknowledged_regardless, SEND, "unreachable"),
    Planted("Failed entries ignored", _failed_entries_ignored, SEND, "half failed"),
    Planted("the time in the digest", _time_in_the_digest, SEND, "answer lost"),
]
