"""The consumer: an SQS event in, commits out, one message's fault never another's.

* A record that is no message of ours, or whose payload cannot be stored, goes to the dead-letter queue with the
  reason; a group that fails for such a reason is halved until what fails stands alone.
* A fault of AWS fails the invocation: SQS delivers everything again, and what is counted already stays counted once.
  That needs no ReportBatchItemFailures, which `chalice deploy` cannot set.
"""

from __future__ import annotations

import base64
import logging
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from chalicelib import config
from chalicelib.consume.commit import Committed, PendingMessage, commit, counted_among
from chalicelib.consume.notes import forget_notes, write_notes
from chalicelib.errors import InvalidPayload, StoreError
from chalicelib.gc_pause import gc_paused
from chalicelib.model.units import SECOND_NANO
from chalicelib.queue.message import (
    PAYLOAD_ATTRIBUTE,
    Message,
    content_bytes_of,
    message_from_parts,
    payload_of,
)
from chalicelib.store.dead_letter import Note, carried_key, note_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from chalicelib.consume.dictionaries import Dictionaries
    from chalicelib.store.items import ItemStore

_logger = logging.getLogger(__name__)

Record = dict[str, Any]
"""One of a Lambda SQS event's `Records`."""


class DeadLetters(Protocol):
    def bury(self, record: Record, reason: str, note: str) -> None:
        """Return when the dead-letter queue has the record's body and attributes, the reason, and its note's key."""


class OutOfTime(StoreError):
    """The invocation's time is nearly over; what is not committed must be delivered again."""


class Received(NamedTuple):
    message: Message
    record: Record


class Consumed(NamedTuple):
    """What one invocation did, for the metrics."""

    messages: int = 0
    """Counted."""
    spans: int = 0
    """Stored and counted."""
    duplicate_messages: int = 0
    """Left out, for they were counted before."""
    dead_letters: int = 0
    spans_received: int = 0
    """The spans of every readable message, duplicates included."""

    def plus(self, committed: Committed) -> Consumed:
        return self._replace(
            messages=self.messages + committed.messages,
            spans=self.spans + committed.spans,
            duplicate_messages=self.duplicate_messages + committed.duplicate_messages,
        )


class Consumer:
    """Commits the messages of SQS records."""

    def __init__(
        self,
        store: ItemStore,
        dead_letters: DeadLetters,
        now_unix_nano: Callable[[], int],
        *,
        shards: int | None = None,
        time_left: Callable[[], bool] = lambda: True,
        dictionaries: Dictionaries | None = None,
    ) -> None:
        self._store = store
        self._dead_letters = dead_letters
        self._now_unix_nano = now_unix_nano
        self._shards = config.SHARDS if shards is None else shards
        self._time_left = time_left
        self._dictionaries = dictionaries
        self._consumed = Consumed()
        self._notes: list[Note] = []

    def consume(self, records: Sequence[Record]) -> Consumed:
        """Return when every record is stored and counted, known as counted before, or in the dead-letter queue.

        Raises StoreThrottled or StoreError otherwise: all records must be delivered again.
        """
        self._consumed, self._notes = Consumed(), []
        for group in groups_of(self._uncounted(self._readable(records))):
            if not self._time_left():
                raise OutOfTime("no time for the next group")
            self._commit(group)
        self._keep_notes(records)
        self._learn()
        return self._consumed

    def _readable(self, records: Sequence[Record]) -> list[Received]:
        """The records that are messages, the first of each digest."""
        found: dict[bytes, Received] = {}
        for record in records:
            try:
                message = message_from_record(record)
            except InvalidPayload as error:
                self._bury(record, str(error))
                continue
            self._consumed = self._consumed._replace(
                spans_received=self._consumed.spans_received + message.span_count
            )
            if message.digest in found:
                self._left_out(1)
            else:
                found[message.digest] = Received(message, record)
        return list(found.values())

    def _uncounted(self, received: Sequence[Received]) -> list[Received]:
        """The messages without those that were delivered before and are counted: these need no second writing."""
        again = {each.message.digest for each in received if _receive_count(each.record) > 1}
        counted = counted_among(self._store, again) if again else set()
        self._left_out(len(counted))
        return [each for each in received if each.message.digest not in counted]

    def _commit(self, group: Sequence[Received]) -> None:
        try:
            messages = [_with_payload(each.message) for each in group]
            with gc_paused():
                committed = commit(
                    self._store, messages, self._now_unix_nano(), self._shards, self._dictionaries
                )
        except StoreError:
            raise
        except Exception as error:
            if len(group) == 1:
                self._bury(group[0].record, f"{type(error).__name__}: {error}")
                return
            middle = len(group) // 2
            self._commit(group[:middle])
            self._commit(group[middle:])
        else:
            self._consumed = self._consumed.plus(committed)

    def _keep_notes(self, records: Sequence[Record]) -> None:
        """Write the notes of what was buried now, and forget those of letters that were sent back and are stored."""
        buried = {note.key for note in self._notes}
        served = {key for record in records if (key := carried_key(record))} - buried
        try:
            write_notes(self._store, self._notes)
            if served:
                forget_notes(self._store, sorted(served))
        except Exception as error:
            # The letters are in their queue with their reasons: delivering it all again would bury them twice.
            _logger.warning("notes of dead letters could not be kept: %s", error)

    def _learn(self) -> None:
        if self._dictionaries is None or not self._time_left():
            return
        try:
            if self._dictionaries.learn(self._now_unix_nano() // SECOND_NANO):
                _logger.info("a dictionary was learned")
        except Exception as error:
            # Everything is stored and counted by now: delivering it again would help nobody.
            _logger.warning("no dictionary was learned: %s", error)

    def _bury(self, record: Record, reason: str) -> None:
        _logger.warning("message %s to the dead-letter queue: %s", record.get("messageId"), reason)
        note = note_of(record, reason, self._now_unix_nano() // SECOND_NANO)
        self._dead_letters.bury(record, reason, note.key)
        self._notes.append(note)
        self._consumed = self._consumed._replace(dead_letters=self._consumed.dead_letters + 1)

    def _left_out(self, count: int) -> None:
        duplicates = self._consumed.duplicate_messages + count
        self._consumed = self._consumed._replace(duplicate_messages=duplicates)


def message_from_record(record: Record) -> Message:
    """The message in a Lambda SQS record. Raises InvalidPayload."""
    attribute = record.get("messageAttributes", {}).get(PAYLOAD_ATTRIBUTE, {})
    try:
        frame = base64.b64decode(attribute.get("binaryValue") or "", validate=True)
    except ValueError as error:
        raise InvalidPayload(f"the attribute {PAYLOAD_ATTRIBUTE!r} is not base64") from error
    return message_from_parts(record["body"], frame)


def _receive_count(record: Record) -> int:
    return int(record.get("attributes", {}).get("ApproximateReceiveCount", 1))


def _with_payload(message: Message) -> PendingMessage:
    payload = payload_of(config.TENANT, message, config.MESSAGE_PAYLOAD_BYTES_MAX)
    return PendingMessage(message.digest, message.received_unix_seconds, payload)


def groups_of(received: Sequence[Received]) -> Iterator[list[Received]]:
    """Messages in order, in groups of at most 80 messages, about 10,000 spans and 16 MB of their content."""
    group: list[Received] = []
    span_count = content_bytes = 0
    for each in received:
        size = content_bytes_of(each.message)
        full = (
            len(group) == config.GROUP_MESSAGES_MAX
            or content_bytes + size > config.GROUP_CONTENT_BYTES_MAX
        )
        if group and (full or span_count + each.message.span_count > config.GROUP_SPANS_MAX):
            yield group
            group, span_count, content_bytes = [], 0, 0
        group.append(each)
        span_count += each.message.span_count
        content_bytes += size
    if group:
        yield group
