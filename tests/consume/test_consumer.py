"""The consumer: every record is counted once or buried, and one's fault is never another's."""

from __future__ import annotations

import gc
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib import config
from chalicelib.consume.commit import (
    COMMIT_ACTIONS_MAX,
    GroupTooLarge,
    PendingMessage,
    commit,
    counted_among,
)
from chalicelib.consume.consumer import Consumer, OutOfTime, Received, groups_of
from chalicelib.errors import StoreError, StoreThrottled
from chalicelib.model import zstd
from chalicelib.model.statistics import Statistics, statistics_from
from chalicelib.queue.message import content_bytes_of
from chalicelib.store.dead_letter import read_notes
from chalicelib.store.shard import read_shard
from chalicelib.store.traces import read_spans
from tests.consume.records import DeadLetterList, message_of, message_of_payload, record_of
from tests.memory_store import MemoryStore
from tests.payloads import NOON_NANO, NOON_UNIX_SECONDS, Made, payload, trace_id

if TYPE_CHECKING:
    from chalicelib.queue.message import Message

NOT_PROTOBUF = b"\xff\xff\xff"


@pytest.fixture
def store():
    return MemoryStore()


@pytest.fixture
def dead_letters():
    return DeadLetterList()


@pytest.fixture
def consumer(store, dead_letters):
    return Consumer(store, dead_letters, lambda: NOON_NANO, shards=1)


def statistics_in(store: MemoryStore, shards: int = 1) -> Statistics:
    total = Statistics()
    for shard in range(shards):
        for entry in read_shard(store, shard).entries:
            if entry.HasField("statistics"):
                total.add(statistics_from(entry.statistics))
    return total


def calls_in(store: MemoryStore) -> int:
    return sum(measure.calls for measure in statistics_in(store).series.values())


def stored(store: MemoryStore, trace: int) -> int:
    return len(read_spans(store, trace_id(trace), NOON_UNIX_SECONDS))


def one(number: int, spans: int = 1) -> Message:
    """A message with spans of a trace of its own."""
    return message_of([Made(number, i) for i in range(1, spans + 1)])


class TestDuplicates:
    def test_in_one_batch(self, store, consumer):
        """A message that is twice in a batch counts once."""
        consumed = consumer.consume([record_of(one(1, 3)), record_of(one(2)), record_of(one(1, 3))])
        assert consumed[:3] == (2, 4, 1)
        assert consumed.spans_received == 7
        assert calls_in(store) == 4

    def test_a_counted_message_is_left_out_before_writing(self, store, consumer):
        """A message that comes again after it was counted is left out, before anything is written."""
        consumer.consume([record_of(one(1))])
        store.calls.clear()
        consumed = consumer.consume([record_of(one(1), receive_count=2)])
        assert consumed[:3] == (0, 0, 1)
        assert store.calls == ["get_batch"]
        assert calls_in(store) == 1

    def test_redelivered_but_never_counted(self, store, consumer):
        """A message whose first delivery came to nothing is counted on its second."""
        assert consumer.consume([record_of(one(1), receive_count=2)])[:3] == (1, 1, 0)
        assert calls_in(store) == 1

    def test_sent_twice(self, store, consumer):
        """A copy that SQS takes for a new message is not counted either."""
        consumer.consume([record_of(one(1))])
        consumed = consumer.consume([record_of(one(1)), record_of(one(2))])
        assert consumed[:3] == (1, 1, 1)
        assert calls_in(store) == 2

    @settings(deadline=None, max_examples=40)
    @given(st.lists(st.lists(st.integers(1, 5), max_size=6), max_size=4), st.data())
    def test_any_deliveries(self, batches, data):
        """However often messages are delivered, in whatever batches, each counts once."""
        store, dead_letters = MemoryStore(), DeadLetterList()
        consumer = Consumer(store, dead_letters, iter(range(NOON_NANO, 2**63)).__next__, shards=1)
        delivered = Counter[int]()
        duplicates = 0
        for batch in batches:
            records = []
            for number in batch:
                delivered[number] += 1
                count = delivered[number] if data.draw(st.booleans()) else 1
                records.append(record_of(one(number, number), count))
            duplicates += consumer.consume(records).duplicate_messages
        assert calls_in(store) == sum(delivered)
        assert duplicates == delivered.total() - len(delivered)


class TestPoison:
    @pytest.mark.parametrize(
        "change",
        [
            {"body": "hello"},
            {"messageAttributes": {}},
            {"messageAttributes": {"payload": {"dataType": "Binary", "binaryValue": "%"}}},
            {"messageAttributes": {"payload": {"dataType": "String", "stringValue": "x"}}},
        ],
    )
    def test_no_message(self, store, dead_letters, consumer, change):
        """A record that is no message goes to the dead-letter queue, whole and with the reason; others are stored."""
        poison = {**record_of(one(7)), **change}
        consumed = consumer.consume([record_of(one(1)), poison, record_of(one(2))])
        ((buried, reason),) = dead_letters.buried
        assert buried == poison
        assert reason
        assert consumed == (2, 2, 0, 1, 2)
        assert stored(store, 1) == stored(store, 2) == 1

    @pytest.mark.parametrize(
        "poison",
        [
            message_of_payload(NOT_PROTOBUF),
            one(7)._replace(frame=b"not zstd"),
            one(7)._replace(frame=one(8).frame),
        ],
        ids=["not protobuf", "not zstd", "another payload"],
    )
    @pytest.mark.parametrize("place", [0, 3, 6])
    def test_a_poison_payload_is_found_among_counted_neighbours(
        self, store, dead_letters, consumer, poison, place
    ):
        """A message whose payload cannot be stored is found among its neighbours, which are counted once each."""
        records = [record_of(one(i, i)) for i in range(1, 7)]
        records.insert(place, record_of(poison))
        consumed = consumer.consume(records)
        ((buried, reason),) = dead_letters.buried
        assert buried == record_of(poison)
        assert reason
        assert consumed[:4] == (6, 21, 0, 1)
        assert calls_in(store) == 21
        assert [stored(store, i) for i in range(1, 7)] == [1, 2, 3, 4, 5, 6]

    def test_only_poison(self, store, dead_letters, consumer):
        """A batch of nothing but poison empties the queue and counts nothing; of each a note is kept."""
        records = [record_of(message_of_payload(NOT_PROTOBUF + bytes((i,)))) for i in range(5)]
        assert consumer.consume(records) == (0, 0, 0, 5, 5)
        assert len(dead_letters.buried) == 5
        assert len(store.items) == len({note.key for note in read_notes(store, NOON_UNIX_SECONDS)})
        assert len(store.items) == 5

    @pytest.mark.parametrize(
        "field",
        [
            '"received_unix_seconds":1e400',
            '"received_unix_seconds":"x"',
        ],
    )
    def test_odd_numbers(self, store, dead_letters, consumer, field):
        """A number that is none in the body makes that message a dead letter, not the batch."""
        odd = record_of(one(7))
        odd["body"] = odd["body"].replace(f'"received_unix_seconds":{NOON_UNIX_SECONDS}', field)
        assert consumer.consume([odd, record_of(one(1))])[:4] == (1, 1, 0, 1)

    def test_buried_before_a_refusal(self, store, consumer):
        """If the dead-letter queue does not take a record the invocation fails: it must be delivered again."""

        class Full:
            def bury(self, record, reason, note):
                raise StoreThrottled("full")

        with pytest.raises(StoreThrottled):
            Consumer(store, Full(), lambda: NOON_NANO).consume([{**record_of(one(1)), "body": ""}])


class Failing(MemoryStore):
    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error: Exception | None = error

    def transact(self, actions):
        if self.error:
            raise self.error
        super().transact(actions)


class TestFaultsOfAws:
    @pytest.mark.parametrize("error", [StoreThrottled("load"), StoreError("no table")])
    def test_faults_of_aws_fail_the_invocation_and_blame_no_message(self, dead_letters, error):
        """A fault of AWS fails the invocation, and no message is blamed; delivered again, all are counted."""
        store = Failing(error)
        consumer = Consumer(store, dead_letters, lambda: NOON_NANO, shards=1)
        records = [record_of(one(i)) for i in (1, 2)]
        with pytest.raises(type(error)):
            consumer.consume(records)
        assert dead_letters.buried == []
        store.error = None
        assert consumer.consume(records).messages == 2
        assert calls_in(store) == 2

    def test_out_of_time(self, store, dead_letters, monkeypatch):
        """If time runs out between groups the invocation fails; what was committed counts once all the same."""
        monkeypatch.setattr(config, "GROUP_MESSAGES_MAX", 2)
        answers = [True, False]
        consumer = Consumer(
            store, dead_letters, lambda: NOON_NANO, shards=1, time_left=lambda: answers.pop(0)
        )
        records = [record_of(one(i)) for i in range(1, 6)]
        with pytest.raises(OutOfTime):
            consumer.consume(records)
        assert calls_in(store) == 2
        again = Consumer(store, dead_letters, lambda: NOON_NANO + 1, shards=1)
        again.consume([record_of(one(i), receive_count=2) for i in range(1, 6)])
        assert calls_in(store) == 5

    def test_the_garbage_collector_runs_again_after_each_commit(self, dead_letters):
        """Python's cycle collector runs again after a commit, failed or not."""
        consumer = Consumer(Failing(StoreThrottled("load")), dead_letters, lambda: NOON_NANO)
        with pytest.raises(StoreThrottled):
            consumer.consume([record_of(one(1))])
        assert gc.isenabled()


@given(st.lists(st.integers(0, 12_000), max_size=300))
def test_groups_keep_every_message_in_order_within_their_bounds(counts):
    """Groups hold every message in order, at most 80 each, and above 10,000 spans only a message alone."""
    message = one(1)
    received = [Received(message._replace(span_count=count), {}) for count in counts]
    groups = list(groups_of(received))
    assert [each for group in groups for each in group] == received
    for group in groups:
        assert 1 <= len(group) <= config.GROUP_MESSAGES_MAX
        spans = sum(each.message.span_count for each in group)
        assert spans <= config.GROUP_SPANS_MAX or len(group) == 1


_FRAMES = {size: zstd.compress(bytes(size)) for size in (0, 1_000_000, 7_000_000, 17_000_000)}


@given(st.lists(st.sampled_from(list(_FRAMES)), max_size=40))
def test_groups_have_a_bound_of_content(sizes):
    """Above 16 MB of content a group has only one message, and no message is left out."""
    message = one(1)
    received = [Received(message._replace(frame=_FRAMES[size]), {}) for size in sizes]
    groups = list(groups_of(received))
    assert [each for group in groups for each in group] == received
    for group in groups:
        content = sum(content_bytes_of(each.message) for each in group)
        assert content <= config.GROUP_CONTENT_BYTES_MAX or len(group) == 1


def test_a_damaged_frame_claims_nothing():
    """A message whose frame is damaged is taken with others, and found when it is read."""
    assert content_bytes_of(one(1)._replace(frame=b"none")) == 0


def counted(number: int, spans: int = 1) -> PendingMessage:
    message = one(number, spans)
    content = payload([Made(number, i) for i in range(1, spans + 1)])
    return PendingMessage(message.digest, NOON_UNIX_SECONDS, content)


class Overtaken(MemoryStore):
    """Just before its first transaction, another consumer commits other groups."""

    def __init__(self, groups: list[list[PendingMessage]]) -> None:
        super().__init__()
        self._groups = groups

    def transact(self, actions):
        if self._groups:
            group = self._groups.pop(0)
            other = MemoryStore()
            other.items = self.items
            commit(other, group, NOON_NANO + 1 + len(self._groups), 1)
        super().transact(actions)


class TestCommit:
    @pytest.mark.parametrize(
        ("others", "committed"),
        [
            ([], (4, 10, 0)),
            ([[2]], (3, 8, 1)),
            ([[1, 4]], (2, 5, 2)),
            ([[1], [2], [3, 9]], (1, 4, 3)),
            ([[4, 3, 2, 1]], (0, 0, 4)),
        ],
    )
    def test_concurrent_commits_count_each_message_once(self, others, committed):
        """Of messages that others commit meanwhile, exactly the rest is counted; in all, each once."""
        store = Overtaken([[counted(i, i) for i in group] for group in others])
        mine = [counted(i, i) for i in (1, 2, 3, 4)]
        assert commit(store, mine, NOON_NANO, 1) == committed
        every = {1, 2, 3, 4}.union(*others)
        assert calls_in(store) == sum(every)
        digests = {counted(i, i).digest for i in every}
        assert counted_among(store, [*digests, b"x" * 32]) == digests

    def test_spans_expire_after_arrival_and_markers_after_now(self, store):
        """Spans and index expire a retention after the newest arrival of the group, markers after now."""
        late = counted(2)._replace(received_unix_seconds=NOON_UNIX_SECONDS + 50)
        commit(store, [counted(1), late], NOON_NANO, 1)
        by_table: dict[str, set[object]] = {}
        for (table, _, sort), item in store.items.items():
            if table != config.STATISTICS_TABLE or sort == "m":
                by_table.setdefault(table, set()).add(item["x"])
        content = {NOON_UNIX_SECONDS + 50 + config.RETENTION_SECONDS}
        assert by_table == {
            config.SPANS_TABLE: content,
            config.INDEX_TABLE: content,
            config.STATISTICS_TABLE: {NOON_UNIX_SECONDS + config.MARKER_RETENTION_SECONDS},
        }

    def test_order_of_writes(self, store):
        """Spans and index are written before anything is counted, and what is counted in one transaction."""
        commit(store, [counted(1)], NOON_NANO, 3)
        assert store.calls == ["put_batch", "put_batch", "transact"]

    def test_too_large(self, store):
        """A group whose markers and segments are too many for a transaction counts nothing."""
        with pytest.raises(GroupTooLarge):
            commit(store, [counted(i) for i in range(1, COMMIT_ACTIONS_MAX + 2)], NOON_NANO, 1)
        assert calls_in(store) == 0

    def test_too_large_is_halved(self, store, dead_letters, monkeypatch):
        """A group that is too large for a transaction is halved, and all of it is counted."""
        monkeypatch.setattr("chalicelib.consume.commit.COMMIT_ACTIONS_MAX", 4)
        consumer = Consumer(store, dead_letters, iter(range(NOON_NANO, 2**63)).__next__, shards=1)
        assert consumer.consume([record_of(one(i)) for i in range(1, 12)])[:4] == (11, 11, 0, 0)
        assert calls_in(store) == 11
        assert dead_letters.buried == []
